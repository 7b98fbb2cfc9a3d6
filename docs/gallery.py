"""Make the gallery page: `python docs/gallery.py` solves the showcase of every equation and writes docs/gallery.md.

Names make only their pictures again: `python docs/gallery.py Burgers GrayScott`. The page is always written whole.
"""

import inspect
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import pdejax as pj
from pdejax import equations
from pdejax.calculus import d
from pdejax.equations import AbstractConservationLaw, AbstractEquation, AbstractEvolution, Showcase
from pdejax.experiment._figures import Axes, curve, flatten, image, span, symmetric
from pdejax.experiment._render import Draw, Palette, render
from pdejax.fields import GridField

PAGE = Path(__file__).with_suffix(".md")
PICTURES = PAGE.with_suffix("")
SIZE = (3.2, 2.4)  # inches, 160 dots each
BYTES = 25_000  # of a picture
FRAMES = 160  # of a space-time picture
NODES = 256, 128  # at least so many on one axis, on the first two of more

# Families in the order of the page, by module; equations of other modules follow under the names of those.
FAMILIES = {
    "Transport and diffusion": ("_transport", "_diffusion"),
    "Dispersive waves": ("_dispersive",),
    "Waves of second order": ("_waves",),
    "Quantum mechanics": ("_quantum",),
    "Chaotic fronts": ("_chaos",),
    "Phase separation and patterns": ("_phase",),
    "Reaction and diffusion": ("_reaction", "_patterns"),
    "Incompressible flow": ("_fluid", "_velocity", "_turbulence", "_geophysical"),
    "Conservation laws": ("_scalar_laws", "_acoustics", "_shallow_water", "_gas"),
    "Ordinary differential equations": ("_ode",),
    "Steady equations": ("_elliptic", "_plate", "_elasticity", "_steady_transport"),
    "Steady equations that minimise an energy": ("_variational",),
    "Other nonlinear steady equations": ("_monge_ampere", "_steady_flow", "_steady_state"),
}

HEAD = """\
# Gallery

The {count} equations of the library: the text of each, and what it does. `python docs/gallery.py` makes this page.

- The name leads to the [API](api/equations.md): parameters, their defaults, and the source.
- The picture is the problem of `showcase()`, solved in float32 by `ETDRK4`, or `FiniteVolume` for a conservation law.
  On one space axis it shows space and time, on more the field at the time given.
  Steady equations are solved by the default method.
- `example()` is a solution in closed form. `tests/conformance/test_equations.py` checks every equation against it and
  more, one row for each: `pytest tests/conformance/test_equations.py -k "[Burgers]"`.

To solve one yourself:

```python
import pdejax as pj

show = pj.equations.Burgers.showcase()
problem = pj.EvolutionProblem(show.equation, show.u0, t0=0.0, t1=show.t1)
solution = pj.solve(problem, pj.solvers.ETDRK4(show.dt))
```
"""


def vorticity(u: GridField) -> GridField:
    """`dv_2/dx_1 - dv_1/dx_2`."""
    x, y = u.grid.names[:2]
    return d(u[1], x) - d(u[0], y)


# What is drawn instead of the channel that the showcase names.
QUANTITIES = {
    pj.equations.NavierStokes: ("vorticity", vorticity),
    pj.equations.LargeEddySimulation: ("vorticity", vorticity),
    pj.equations.GinzburgLandau: ("real part", lambda u: u.real),
}


def evolved(cls: type[AbstractEvolution]) -> Draw:
    """The picture of an evolution equation."""
    show = cls.showcase()
    grid, steps = show.u0.grid, round(show.t1 / show.dt)
    most = steps if cls is pj.equations.Lorenz63 else FRAMES if grid.ndim == 1 else 1
    ts = np.linspace(0, show.t1, 1 + max(k for k in range(1, most + 1) if steps % k == 0))
    problem = pj.EvolutionProblem(show.equation, show.u0, t0=0.0, t1=show.t1)
    u = pj.solve(problem, stepper(show), save_at=ts).value
    if cls is pj.equations.Lorenz63:
        return orbits(np.asarray(u.values))
    what, quantity = QUANTITIES.get(cls, ("" if u.is_real else "modulus", lambda u: u[show.channel]))
    u = jax.vmap(lambda u: smooth(quantity(u)))(u if grid.ndim == 1 else jax.tree.map(lambda x: x[-1:], u))
    values, names, points = np.asarray(u.values)[:, 0], u.grid.names, [axis.points for axis in u.grid.axes]
    values = values if u.is_real else np.abs(values)
    if cls is pj.equations.Dispersion:
        lines = {"t = 0": values[0], f"t = {show.t1:.3g}": values[-1]}
        return curve(lines, Axes(names, tuple(points), (True,)), "", span(values[0], values[-1]))
    if grid.ndim == 1:
        return field(values.T, (*names, "t"), (*points, ts), what)
    values, axes, _ = flatten(values[0], Axes(names, tuple(points), (True,) * grid.ndim))
    return field(values, axes.names, axes.points, f"{what} at t = {show.t1:g}" if what else f"t = {show.t1:g}")


def stepper(show: Showcase) -> Any:
    """The method of a showcase."""
    volumes = isinstance(show.equation, AbstractConservationLaw)
    return pj.solvers.FiniteVolume(show.dt) if volumes else pj.solvers.ETDRK4(show.dt)


def smooth(u: GridField) -> GridField:
    """A field of Fourier modes at enough points for its picture; others as they are."""
    axes, shape = u.grid.axes, u.grid.shape
    if not all(isinstance(axis, pj.Fourier) for axis in axes):
        return u.as_values()
    fine = (max(shape[0], NODES[0]),) if len(shape) == 1 else tuple(max(n, NODES[1]) for n in shape[:2])
    return u.resample(fine + shape[2:]).as_values()


def charges() -> pj.SteadyProblem:
    """Charges of both signs in a box of metal."""
    grid = pj.Grid(x=pj.Sine(129), y=pj.Sine(129))
    spot = lambda x, y, a, b: jnp.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.002)
    source = lambda x, y: spot(x, y, 0.3, 0.65) - spot(x, y, 0.7, 0.3) + 0.6 * spot(x, y, 0.65, 0.8)
    return pj.SteadyProblem(equations.Poisson(GridField.from_function(source, grid)), grid)


def rock() -> pj.SteadyProblem:
    """Water pumped evenly into rock of two kinds, one twenty times as permeable as the other, runs off at the edges."""
    grid = pj.Grid(**{name: pj.Uniform(97, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0)) for name in "xy"})
    wave = lambda x, y: jnp.sin(9 * x + 4 * y) + jnp.sin(5 * x - 11 * y + 1) + jnp.sin(14 * x * y)
    permeability = GridField.from_function(lambda x, y: jnp.where(wave(x, y) > 0, 10.0, 0.5), grid)
    return pj.SteadyProblem(equations.Darcy(permeability), grid)


def antenna() -> pj.SteadyProblem:
    """The standing waves of a small source in a box."""
    grid = pj.Grid(x=pj.Sine(129), y=pj.Sine(129))
    source = lambda x, y: 1e3 * jnp.exp(-((x - 0.35) ** 2 + (y - 0.6) ** 2) / 0.001)
    return pj.SteadyProblem(equations.Helmholtz(36.2, GridField.from_function(source, grid)), grid)


def saturated() -> pj.SteadyProblem:
    """A source in a part of the square: the cubic term flattens the top, and edges become layers."""
    grid = pj.Grid(x=pj.Sine(65), y=pj.Sine(65))
    hill = lambda x, y: 1e3 * jnp.exp(-(((x - 0.4) / 0.3) ** 6) - ((y - 0.45) / 0.3) ** 6)
    return pj.SteadyProblem(equations.SemilinearPoisson(GridField.from_function(hill, grid), 1e3), grid)


def box(n: int) -> pj.Grid:
    """The unit square with finite differences, zero on the edges."""
    return pj.Grid(**{name: pj.Uniform(n, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0)) for name in "xy"})


def bodies() -> pj.SteadyProblem:
    """A source everywhere, and three bodies in which the solution is held at zero by strong screening."""
    grid, centres = box(63), ((0.3, 0.35), (0.7, 0.55), (0.35, 0.75))
    inside = lambda x, y: sum(((x - a) ** 2 + (y - b) ** 2 < 0.01).astype(x.dtype) for a, b in centres)
    screening = GridField.from_function(lambda x, y: 300 * inside(x, y), grid)
    return pj.SteadyProblem(equations.ScreenedPoisson(screening), grid)


def plate() -> pj.SteadyProblem:
    """A plate on simple supports bends under a load on a small part of it."""
    grid = pj.Grid(x=pj.Sine(17), y=pj.Sine(17))  # rounding: fourth derivatives in float32
    load = GridField.from_function(lambda x, y: 1e3 * jnp.exp(-((x - 0.3) ** 2 + (y - 0.65) ** 2) / 0.03), grid)
    return pj.SteadyProblem(equations.Biharmonic(load), grid)


def beam() -> pj.SteadyProblem:
    """The displacement upwards of a beam clamped at both ends, under its own weight."""
    free, clamped = pj.Neumann(0.0), pj.Dirichlet(0.0)
    x, y = pj.Uniform(49, 2.0, lower=clamped, upper=clamped), pj.Uniform(25, lower=free, upper=free)
    grid = pj.Grid(x=x, y=y)
    weight = GridField.from_function(lambda x, y: (0 * x, 0 * x - 1e-2), grid)
    return pj.SteadyProblem(equations.LinearElasticity(1.0, 1.0, weight), grid, channels=2)


def smoke() -> pj.SteadyProblem:
    """Two sources in a wind that turns round the centre, with little diffusion."""
    grid = box(63)
    spot = lambda x, y, a, b: 1e2 * jnp.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.002)
    wind = GridField.from_function(lambda x, y: (0.5 - y, x - 0.5), grid)
    source = GridField.from_function(lambda x, y: spot(x, y, 0.5, 0.2) + spot(x, y, 0.65, 0.6), grid)
    return pj.SteadyProblem(equations.SteadyAdvectionDiffusion(wind, 2e-3, source, upwind=True), grid)


def stiffening() -> pj.SteadyProblem:
    """A membrane that stiffens where it is steep, `a = 1 + s / 20`, pushed and pulled."""
    grid = box(63)
    push = lambda x, y: 200 * jnp.sin(2 * jnp.pi * x) * jnp.sin(jnp.pi * y) ** 2
    return pj.SteadyProblem(
        equations.QuasilinearPoisson(lambda s: s + s**2 / 40, source=GridField.from_function(push, grid)), grid
    )


def sandpile() -> pj.SteadyProblem:
    """p = 6 and an even load: a roof of nearly even slope."""
    return pj.SteadyProblem(equations.PLaplace(6.0, 0.1, 1.0), box(63))


def soap() -> pj.SteadyProblem:
    """A soap film in a frame that is bent up on two sides and down on the others."""
    arc = 0.5 * np.sin(np.pi * np.linspace(0, 1, 63))
    up, down = pj.Dirichlet(arc), pj.Dirichlet(-arc)
    grid = pj.Grid(x=pj.Uniform(63, lower=up, upper=up), y=pj.Uniform(63, lower=down, upper=down))
    return pj.SteadyProblem(equations.MinimalSurface(), grid)


def electrolyte() -> pj.SteadyProblem:
    """The fixed charges of the first picture in salt water, which screens them."""
    grid = box(63)
    spot = lambda x, y, a, b: 4e3 * jnp.exp(-((x - a) ** 2 + (y - b) ** 2) / 0.002)
    charge = lambda x, y: spot(x, y, 0.3, 0.65) - spot(x, y, 0.7, 0.3) + 0.6 * spot(x, y, 0.65, 0.8)
    return pj.SteadyProblem(equations.PoissonBoltzmann(1.0, 10.0, GridField.from_function(charge, grid)), grid)


def explosion() -> pj.SteadyProblem:
    """Rate 6.8, just below the critical one of the unit square."""
    return pj.SteadyProblem(equations.Bratu(6.8), box(63))


def phases() -> pj.SteadyProblem:
    """Two phases in six patches, where a weak source pulls each of them: coherence length 1/25, zero on the edges."""
    grid = box(63)
    pull = GridField.from_function(lambda x, y: 0.3 * jnp.sin(3 * jnp.pi * x) * jnp.sin(2 * jnp.pi * y), grid)
    return pj.SteadyProblem(equations.GinzburgLandauSteady(0.04, pull), grid, guess=3.0 * pull)


def bowl() -> pj.SteadyProblem:
    """A convex surface over the square, zero on the edges, more curved around one point."""
    grid = box(49)
    curvature = GridField.from_function(lambda x, y: 1 + 9 * jnp.exp(-((x - 0.3) ** 2 + (y - 0.6) ** 2) / 0.02), grid)
    return pj.SteadyProblem(equations.MongeAmpere(curvature), grid)


def creeping() -> pj.SteadyProblem:
    """Stream function, times 100, of slow flow in a box whose lid and bottom move in opposite directions."""
    return cavity(equations.Stokes(1.0, walls={"y": ((-1.0, 0.0), (1.0, 0.0))}))


def lid() -> pj.SteadyProblem:
    """Stream function, times 100, of the flow in a box under a moving lid, Reynolds number 400."""
    return cavity(equations.SteadyNavierStokes(1 / 400, walls={"y": (None, (1.0, 0.0))}))


def cavity(equation: AbstractEquation) -> pj.SteadyProblem:
    """A flow in a box of 48 x 48 cells."""
    wall = pj.Uniform(48, lower=pj.Dirichlet(), upper=pj.Dirichlet(), centred=True)
    return pj.SteadyProblem(equation, pj.Grid(x=wall, y=wall), channels=3)


def island() -> pj.SteadyProblem:
    """The `FisherKPP` population that lives for ever on a square island with a deadly shore."""
    grid = box(63)
    guess = GridField.from_function(lambda x, y: 0 * x + 1.0, grid)
    return pj.SteadyProblem(equations.SteadyState(equations.FisherKPP(0.005, 1.0)), grid, guess=guess)


STEADY = {
    equations.Poisson: charges,
    equations.ScreenedPoisson: bodies,
    equations.Darcy: rock,
    equations.Helmholtz: antenna,
    equations.SemilinearPoisson: saturated,
    equations.Biharmonic: plate,
    equations.LinearElasticity: beam,
    equations.SteadyAdvectionDiffusion: smoke,
    equations.QuasilinearPoisson: stiffening,
    equations.PLaplace: sandpile,
    equations.MinimalSurface: soap,
    equations.PoissonBoltzmann: electrolyte,
    equations.Bratu: explosion,
    equations.GinzburgLandauSteady: phases,
    equations.MongeAmpere: bowl,
    equations.Stokes: creeping,
    equations.SteadyNavierStokes: lid,
    equations.SteadyState: island,
}


def quantity(problem: pj.SteadyProblem, u: GridField) -> GridField:
    """What is drawn of a steady solution."""
    if isinstance(problem.equation, equations.Stokes | equations.SteadyNavierStokes):
        return 100.0 * problem.equation.flow(u).stream_function()
    if isinstance(problem.equation, equations.Biharmonic):
        return u.resample((65, 65))
    return u[1] if isinstance(problem.equation, equations.LinearElasticity) else u


def steady(cls: type[AbstractEquation]) -> Draw:
    """The picture of a steady equation: its problem in the table, or its example on the unit square."""
    square = pj.Grid(x=pj.Sine(65), y=pj.Sine(65))
    problem = STEADY[cls]() if cls in STEADY else pj.SteadyProblem(cls.example().equation, square)
    u = quantity(problem, pj.solve(problem).value)
    return field(np.asarray(u.values[0]), u.grid.names, [axis.points for axis in u.grid.axes], "")


def field(values: np.ndarray, names: Sequence[str], points: Sequence[np.ndarray], title: str) -> Draw:
    """An image over two axes, of diverging colours if both signs count."""
    low, high = span(values)
    signed = min(-low, high) > 0.2 * max(-low, high)
    axes = Axes(tuple(names), tuple(points), (False,) * len(names))
    picture = image(values, axes, title, symmetric(values) if signed else (low, high), signed)

    def draw(figure: Any, palette: Palette) -> None:
        picture(figure, palette)
        # On top, since long tick labels leave it no room at the side.
        figure.axes[0].set_ylabel(names[1], rotation=0)
        figure.axes[0].yaxis.set_label_coords(-0.04, 1.02)

    return draw


def orbits(values: np.ndarray) -> Draw:
    """The way of the first member of an ensemble, and where all members are at the end; `values` `(t, 3, members)`."""

    def draw(figure: Any, palette: Palette) -> None:
        axes = figure.subplots()
        axes.plot(values[:, 0, 0], values[:, 2, 0], color=palette.series[0], linewidth=0.5, label="one member")
        axes.plot(values[-1, 0], values[-1, 2], ".", color=palette.series[1], markersize=4, label="all at the end")
        axes.legend(loc="upper center", ncols=2)
        axes.set_ylim(0, 58)
        axes.set(xlabel="X", ylabel="Z")

    return draw


def save(draw: Draw, path: Path) -> None:
    """Write a small PNG file: as many colours as its size allows."""
    render(draw, SIZE, path)
    picture = Image.open(path).convert("RGB")
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < BYTES:
            return
    raise ValueError(f"{path.name} takes {path.stat().st_size} bytes; show fewer steps or less detail.")


def families_of_equations() -> dict[str, list[type[AbstractEquation]]]:
    """Public equations that have something to show, by family, in the order of the source."""
    found = [
        cls
        for cls in vars(pj.equations).values()
        if inspect.isclass(cls) and issubclass(cls, AbstractEquation) and (hasattr(cls, "example") or cls in STEADY)
    ]
    module = lambda cls: cls.__module__.rsplit(".", 1)[1]
    others = {module(cls) for cls in found} - {name for names in FAMILIES.values() for name in names}
    families = FAMILIES | {name.strip("_").replace("_", " ").capitalize(): (name,) for name in sorted(others)}
    line = lambda cls: inspect.getsourcelines(cls)[1]
    return {
        title: [cls for name in names for cls in sorted((c for c in found if module(c) == name), key=line)]
        for title, names in families.items()
    }


def page(families: dict[str, list[type[AbstractEquation]]]) -> str:
    """The text of the page."""
    parts = [HEAD.format(count=sum(map(len, families.values())))]
    for title, members in families.items():
        parts.append("\n".join([f"## {title}\n", "| | |", "|---|---|", *map(row, members)]) + "\n")
    return "\n".join(parts)


def row(cls: type[AbstractEquation]) -> str:
    """The row of an equation in the tables of the page."""
    name, shown = cls.__name__, getattr(cls, "showcase", None) or STEADY.get(cls) or cls.example
    picture = f'![{name}](gallery/{name}.png){{ width="320" loading="lazy" }}'
    return f"| {picture} | **[{name}][pdejax.equations.{name}]**<br>{prose(cls)}<br><br>*{prose(shown)}* |"


def prose(described: Any) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(described.__doc__).split("\n\n")[0].split())


def main(wanted: list[str]) -> None:
    """Make pictures and the page; an equation that fails ends the script."""
    families = families_of_equations()
    members = [cls for family in families.values() for cls in family]
    unknown = set(wanted) - {cls.__name__ for cls in members}
    if unknown:
        sys.exit(f"no equations named {sorted(unknown)}; the page has {', '.join(cls.__name__ for cls in members)}.")
    members = [cls for cls in members if not wanted or cls.__name__ in wanted]
    begun = time.perf_counter()
    for i, cls in enumerate(members, 1):
        start, path = time.perf_counter(), PICTURES / f"{cls.__name__}.png"
        save((evolved if issubclass(cls, AbstractEvolution) else steady)(cls), path)
        taken, size = time.perf_counter() - start, path.stat().st_size / 1e3
        print(f"{i:3d}/{len(members)} {cls.__name__:30s} {taken:5.1f} s {size:5.1f} kB", flush=True)
    PAGE.write_text(page(families), encoding="utf-8")
    total = sum(path.stat().st_size for path in PICTURES.glob("*.png")) / 1e6
    print(f"{PAGE.name}: {len(members)} pictures made in {time.perf_counter() - begun:.0f} s, {total:.2f} MB in all")


if __name__ == "__main__":
    main(sys.argv[1:])
