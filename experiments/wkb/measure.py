"""Optimally truncated WKB for `epsilon^2 phi'' + x phi = 0` on [1, 2], beside general integrators.

    python experiments/wkb/measure.py [ROUNDS]

The wave is `Ai + i Bi`. Errors are the largest over 65 nodes (for the integrators over their steps, for Dopri8 at the
end), relative to the largest `|phi|`; seconds are the least CPU time of ROUNDS calls without compilation.
"""

import json
import sys
import time

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import airy

from pdejax.solvers import wkb

jax.config.update("jax_enable_x64", True)
ENDS = (1.0, 2.0)
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 9
coefficient = lambda x: x


def exact(x, epsilon):
    ai, ai_slope, bi, bi_slope = airy(-np.asarray(x) * epsilon ** (-2 / 3))
    return np.stack([ai + 1j * bi, -(epsilon ** (1 / 3)) * (ai_slope + 1j * bi_slope)])


def series(epsilon, start, order):
    out = wkb(coefficient, epsilon, ENDS, tuple(map(complex, start)), order=order, throw=False)
    return out.points, out.value, {"N": int(out.order), "estimate": float(out.error)}


def scipy_method(epsilon, start, name):
    out = solve_ivp(lambda x, y: np.array([y[1], -x * y[0]]) / epsilon, ENDS, start, name, rtol=1e-10, atol=1e-10)
    return out.t, out.y[0], {"evaluations": out.nfev}


@jax.jit
def dopri8(epsilon, start):
    term = diffrax.ODETerm(lambda x, y, _: jnp.stack([y[1], -x * y[0]]) / epsilon)
    options = {"stepsize_controller": diffrax.PIDController(1e-10, 1e-10), "max_steps": 100_000}
    return diffrax.diffeqsolve(term, diffrax.Dopri8(), *ENDS, None, start, **options)


def diffrax_method(epsilon, start, _):
    out = dopri8(epsilon, np.stack([start.real, start.imag], -1))  # two columns keep every number real
    return ENDS[1:], np.asarray(out.ys)[:, 0] @ np.array([1, 1j]), {"steps": int(out.stats["num_steps"])}


def measure(method, option, epsilon):
    start, largest = exact(ENDS[0], epsilon), np.abs(exact(np.linspace(*ENDS, 65), epsilon)[0]).max()
    points, value, facts = method(epsilon, start, option)
    times = [time.process_time()]
    for _ in range(ROUNDS):
        jax.block_until_ready(method(epsilon, start, option)[1])
        times.append(time.process_time())
    error = float(np.abs(np.asarray(value) - exact(points, epsilon)[0]).max() / largest)
    return {"epsilon": epsilon, "error": error, "seconds": min(np.diff(times)), **facts}


runs = {f"WKB, N = {order or 'best'}": (series, order) for order in (1, 2, 3, 4, None)}
runs |= {name: (scipy_method, name) for name in ("RK45", "DOP853")} | {"Dopri8": (diffrax_method, None)}
table = {name: [measure(*run, 2.0**-k) for k in range(2, 11)] for name, run in runs.items()}
figure, axes = plt.subplots(layout="constrained")
for name, rows in table.items():
    line = "o-" if "WKB" in name else "x--"
    axes.loglog([r["epsilon"] for r in rows], [r["error"] for r in rows], line, label=name)
    for row in rows:
        print(f"{name:14}", " ".join(f"{key} {number:.3g}" for key, number in row.items()))
axes.set(xlabel="epsilon", ylabel="largest relative error", title="epsilon² phi'' + x phi = 0 on [1, 2]")
figure.legend(loc="outside right center")
figure.savefig("experiments/wkb/errors.png")
print(json.dumps(table))
