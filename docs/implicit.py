"""Measure what the page on implicit layers says, and draw its picture: `python docs/implicit.py`, on one core.

The layer is `z = tanh(z W' + x)`, width 256, batch 64, float32; milliseconds of CPU; temporaries as XLA reports them.
Gradients are those of mean(z^2) with respect to W, errors relative to the gradient in float64.
"""

import os
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pdejax.experiment._render import Palette, render
from pdejax.solvers import (
    FGMRES,
    Anderson,
    Broyden,
    Halpern,
    ImplicitAdjoint,
    InexactNewton,
    NeumannAdjoint,
    PhantomAdjoint,
    Picard,
    RecursiveAdjoint,
    Reversible,
    ReversibleAdjoint,
    SharedAdjoint,
    Stationary,
    UnrolledAdjoint,
    fixed_point,
)

PICTURES = Path(__file__).with_suffix("")
WIDTH, BATCH = 256, 64
START = jnp.zeros((BATCH, WIDTH))
SOLVERS = {
    "`Picard`": Picard(1e-4),
    "`Anderson`": Anderson(1e-4),
    "`Anderson`, window 2": Anderson(1e-4, window=2),
    "`Broyden`": Broyden(1e-4),
    "`Halpern(restart=0.5)`": Halpern(1e-4, restart=0.5),
    "`InexactNewton(FGMRES)`": InexactNewton(1e-4, 0.0, FGMRES(1e-2)),
}
ANDERSON = Anderson(1e-5)
ADJOINTS = {
    "`ImplicitAdjoint()` (FGMRES)": (ANDERSON, ImplicitAdjoint()),
    "`ImplicitAdjoint(linear=Stationary(Picard(1e-4)))`": (ANDERSON, ImplicitAdjoint(linear=Stationary(Picard(1e-4)))),
    "`NeumannAdjoint(10)`": (ANDERSON, NeumannAdjoint(10)),
    "`PhantomAdjoint()`": (ANDERSON, PhantomAdjoint()),
    "`PhantomAdjoint(5)`": (ANDERSON, PhantomAdjoint(5)),
    "`SharedAdjoint()`, with `Broyden`": (Broyden(1e-5), SharedAdjoint()),
    "`SharedAdjoint(FGMRES(1e-4))`, with `Broyden`": (Broyden(1e-5), SharedAdjoint(FGMRES(1e-4))),
    "`RecursiveAdjoint()`, with `Picard`": (Picard(1e-5), RecursiveAdjoint()),
    "`UnrolledAdjoint()`, with `Picard`": (Picard(1e-5), UnrolledAdjoint()),
    "`ReversibleAdjoint()`, with `Reversible`": (Reversible(1e-5), ReversibleAdjoint()),
}


def body(z, p):
    """The map."""
    return jnp.tanh(z @ p[0].T + p[1])


def layer(scale: float, orthogonal: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Weights of spectral norm `scale`, and inputs."""
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((WIDTH, WIDTH)), rng.standard_normal((BATCH, WIDTH))
    return (scale * np.linalg.qr(w)[0], 0.1 * x) if orthogonal else (scale * w / np.linalg.norm(w, 2), x)


def milliseconds(run, p, calls: int = 9) -> float:
    """The median over some calls."""
    taken = []
    for _ in range(calls):
        start = time.process_time()
        jax.block_until_ready(run(p))
        taken.append(time.process_time() - start)
    return 1e3 * float(np.median(taken))


def megabytes(run, p) -> float:
    """Temporaries of the compiled program."""
    return run.lower(p).compile().memory_analysis().temp_size_in_bytes / 2**20


def gradient(solver, adjoint, max_steps: int):
    """The compiled gradient."""

    def loss(p):
        found = fixed_point(body, START, p, solver, adjoint=adjoint, max_steps=max_steps, throw=False)
        return jnp.mean(found.value**2)

    return jax.jit(jax.grad(loss))


def scanned(steps: int):
    """The gradient through a loop that keeps everything."""
    follow = lambda p: jax.lax.scan(lambda z, _: (body(z, p), None), START, length=steps)[0]
    return jax.jit(jax.grad(lambda p: jnp.mean(follow(p) ** 2)))


def exact(w, x, steps: int = 200) -> np.ndarray:
    """The gradient in double precision."""
    z = np.zeros(x.shape)
    for _ in range(steps):
        z = np.tanh(z @ w.T + x)
    right, slope, adjoint = 2 * z / z.size, 1 - z**2, np.zeros(x.shape)
    for _ in range(steps):
        adjoint = (adjoint * slope) @ w + right
    return (adjoint * slope).T @ z


def solvers() -> None:
    """The table of solvers."""
    maps = {"norm 0.9": layer(0.9), "norm 3": layer(3.0), "0.99 orthogonal": layer(0.99, True)}
    print("| solver |", " | ".join(maps), "|\n|---|" + "---|" * len(maps))
    for name, solver in SOLVERS.items():
        cells = []
        for w, x in maps.values():
            p = jnp.asarray(w, "float32"), jnp.asarray(x, "float32")
            find = jax.jit(lambda p, s=solver: fixed_point(body, START, p, s, max_steps=2000, throw=False))
            found = find(p)
            steps = f"{found.stats['num_steps']}" if found.ok else f"residual {found.error:.0e}"
            cells.append(f"{steps}, {milliseconds(find, p, 3):.3g} ms")
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def adjoints() -> None:
    """The table of adjoints, on a layer whose map contracts by about a half."""
    w, x = layer(1.2)
    p, wanted = (jnp.asarray(w, "float32"), jnp.asarray(x, "float32")), exact(w, x)
    print("| adjoint | ms | MB | error |\n|---|---|---|---|")
    for name, (solver, adjoint) in ADJOINTS.items():
        run = gradient(solver, adjoint, 64)
        error = np.linalg.norm(run(p)[0] - wanted) / np.linalg.norm(wanted)
        print(f"| {name} | {milliseconds(run, p):.1f} | {megabytes(run, p):.1f} | {error:.0e} |", flush=True)


def depths() -> dict[str, list[tuple[int, float, float]]]:
    """Time and memory of gradients through so many iterations."""
    p = tuple(jnp.asarray(a, "float32") for a in layer(0.99, True))
    implicit = ImplicitAdjoint(linear=Stationary(Picard(1e-3), 2000), accept=1.0)
    sides = {
        "scan, all kept": scanned,
        "UnrolledAdjoint": lambda steps: gradient(Picard(0.0, 1e-30), UnrolledAdjoint(), steps),
        "RecursiveAdjoint": lambda steps: gradient(Picard(0.0, 1e-30), RecursiveAdjoint(), steps),
        "ImplicitAdjoint": lambda steps: gradient(Picard(0.0, 1e-30), implicit, steps),
    }
    found: dict[str, list[tuple[int, float, float]]] = {}
    for name, make in sides.items():
        for steps in (8, 16, 32, 64, 128, 256):
            run = make(steps)
            row = steps, milliseconds(run, p, 5), megabytes(run, p)
            found.setdefault(name, []).append(row)
            print(f"{name:24} {steps:4} iterations {row[1]:8.1f} ms {row[2]:7.1f} MB", flush=True)
    return found


def draw(found) -> Any:
    """Memory and time against the number of iterations."""

    def drawn(figure: Any, palette: Palette) -> None:
        for axes, column, label in zip(figure.subplots(1, 2), (2, 1), ("temporaries, MB", "gradient, ms"), strict=True):
            for i, (name, rows) in enumerate(found.items()):
                axes.loglog(
                    [r[0] for r in rows], [r[column] for r in rows], color=palette.series[i], label=name, marker="."
                )
            axes.set(xlabel="forward iterations", ylabel=label)
            axes.grid(True, axis="y")
        figure.axes[0].legend()

    return drawn


if __name__ == "__main__":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    solvers()
    adjoints()
    path = PICTURES / "depth.png"
    render(draw(depths()), (7.6, 3.2), path)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
