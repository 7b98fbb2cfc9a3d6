"""Orders, errors and work of TASE steppers on stiff Allen-Cahn, by `python experiments/tase/measure.py`: 90 s on CPU.

`u_t = D u_xx + r (u - u^3)` with 63 unknown nodes on [0, 1], zero Dirichlet ends, differences of order 2, T = 1. Errors
are relative L2 distances to ETDRK4 with 8000 steps; seconds of CPU are the best of seven runs after compilation.
"""

import time
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import pdejax as pj
from pdejax.calculus import norm

jax.config.update("jax_enable_x64", True)
S = pj.solvers
STEPS = (20, 40, 80, 160)


def allen_cahn(diffusivity, reaction):
    grid = pj.Grid(x=pj.Uniform(65, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0), order=2))
    u0 = pj.GridField.from_function(lambda x: jnp.sin(np.pi * x) + 0.4 * jnp.sin(3 * np.pi * x), grid)
    problem = pj.EvolutionProblem(pj.equations.AllenCahn(diffusivity, reaction), u0)
    return problem, pj.solve(problem, S.ETDRK4(dt=1 / 8000)).value


def run(method, problem, exact):
    """Error and best CPU time: wall times mean little on a shared machine."""
    seconds = []
    for _ in range(8):
        start = time.process_time()
        value = pj.solve(problem, method, throw=False).value
        value.values.block_until_ready()
        seconds.append(time.process_time() - start)
    return float(norm(value - exact) / norm(exact)), min(seconds[1:])


def adaptive(rtol):
    return S.Adaptive(diffrax.KenCarp4(), rtol=rtol, atol=rtol / 100)


FIXED = {f"TASE {p}": lambda dt, p=p: S.TASE(dt, order=p) for p in (2, 3, 4)}
FIXED |= {f"SinglyTASE {p}": lambda dt, p=p: S.SinglyTASE(dt, order=p) for p in (2, 3, 4)}
FIXED |= {"ETDRK4": S.ETDRK4, "SDIRK3": S.SDIRK3, "ESDIRK4": S.ESDIRK4}

if __name__ == "__main__":
    mild, hard = allen_cahn(0.01, 5.0), allen_cahn(0.05, 10.0)
    results = {name: [run(make(1 / n), *mild) for n in STEPS] for name, make in FIXED.items()}
    results["KenCarp4"] = [run(adaptive(rtol), *mild) for rtol in (1e-4, 1e-6, 1e-8, 1e-10)]
    for name, found in results.items():
        errors, seconds = zip(*found, strict=True)
        print(f"{name:12}", *(f"{e:.2e}" for e in errors), "ms", *(f"{1e3 * s:.2f}" for s in seconds), end=" ")
        if name != "KenCarp4":
            fit = -np.polyfit(np.log(STEPS), np.log(errors), 1)[0]
            print("orders", *(f"{p:.2f}" for p in np.log2(np.divide(errors[:-1], errors[1:]))), f"fit {fit:.2f}")
    print()
    for p in (2, 3, 4):
        ratios = [results[f"TASE {p}"][i][0] / results[f"SinglyTASE {p}"][i][0] for i in range(len(STEPS))]
        print(f"order {p}: modified over plain", *(f"{ratio:.3f}" for ratio in ratios))
    for name in (*(f"TASE {p}" for p in (2, 3, 4)), *(f"SinglyTASE {p}" for p in (2, 3, 4)), "ETDRK4"):
        print(f"D=0.05, r=10, {name:12}", *(f"{run(FIXED[name](1 / n), *hard)[0]:.2e}" for n in (20, 40, 80)))

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for name, found in results.items():
        errors, seconds = zip(*found, strict=True)
        style = "--" if name.startswith("Singly") else "-"
        if name != "KenCarp4":
            axes[0].loglog(STEPS, errors, style, marker="o", ms=3, label=name)
        axes[1].loglog(seconds, errors, style, marker="o", ms=3, color="k" if name == "KenCarp4" else None, label=name)
    axes[0].set(xlabel="steps", ylabel="relative L2 error")
    axes[1].set(xlabel="CPU seconds")
    axes[1].legend(fontsize=7, ncols=2)
    figure.savefig(Path(__file__).parent / "errors.png", dpi=110)
