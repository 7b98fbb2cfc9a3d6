"""Functional derivatives, two classical minimisers: `python experiments/functional_differentiation/measure.py`."""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq

import pdejax as pj
from pdejax.calculus import functional_derivative, grad, integrate
from pdejax.fields import sample
from pdejax.solvers import NewtonKrylov

jax.config.update("jax_enable_x64", True)
E, D = pj.equations, pj.Dirichlet
X = pj.FunctionField.from_function(lambda x: x, ("x",))


class Curve(E.AbstractVariational):
    """`int w sqrt(1 + u_x^2) dx`: time of descent for `w = x^(-1/2)`, x the depth; area of revolution for `w = x`."""

    weight: pj.FunctionField

    def energy(self, u):
        return integrate(self.weight * (grad(u) ** 2 + 1.0) ** 0.5)


def cycloid(y):
    """x of the cycloid `x = a (t - sin t), y = a (1 - cos t)` through (1, 1)."""
    end = brentq(lambda t: (t - np.sin(t)) / (1 - np.cos(t)) - 1, 0.1, 6)
    t = np.arccos(1 - y * (1 - np.cos(end)))
    return (t - np.sin(t)) / (1 - np.cos(end))


def curve(equation, line, exact):
    """From the straight line between the ends: from zero the first slope at an end is as large as the grid is fine."""
    grid, (low, high) = pj.Grid(x=line), (float(side.value) for side in (line.lower, line.upper))
    straight = pj.GridField(jnp.asarray(low + (high - low) * (line.points - line.start) / line.length)[None], grid)
    solution = pj.solve(pj.SteadyProblem(equation, grid, guess=straight), NewtonKrylov())
    found = np.asarray(solution.value.values[0])
    return found, np.abs(found - exact(line.points)).max()


def hand_difference():
    """`int sqrt(1 + |grad u|^2)` for a function: against `-((1 + u_y^2) u_xx - 2 u_x u_y u_xy + ...) / (...)^(3/2)`."""
    u = lambda p: jnp.sin(p[0]) * jnp.exp(0.5 * p[1])
    points = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (200, 2)))
    (ux, uy), h = (np.moveaxis(np.asarray(jax.vmap(f(u))(points)), 0, -1) for f in (jax.grad, jax.hessian))
    hand = -((1 + uy**2) * h[0, 0] - 2 * ux * uy * h[0, 1] + (1 + ux**2) * h[1, 1]) / (1 + ux**2 + uy**2) ** 1.5
    got = functional_derivative(E.MinimalSurface().energy, pj.FunctionField(u, ("x", "y")))(points)[:, 0]
    return np.abs(got - hand).max()


def discrete_difference(n):
    """The gradient of the discrete energy and the Euler-Lagrange expression at inner nodes, p-Laplace p = 3."""
    u = pj.FunctionField.from_function(lambda x, y: jnp.sin(2 * x + y) * jnp.exp(0.5 * y), ("x", "y"))
    grid, energy = pj.Grid(x=pj.Uniform(n), y=pj.Uniform(n)), E.PLaplace(3.0, 0.1).energy
    discrete = functional_derivative(energy, sample(u, grid)).values
    return float(jnp.abs(discrete - sample(functional_derivative(energy, u), grid).values).max())


if __name__ == "__main__":
    print(f"hand derivation {hand_difference():.1e}")
    differences = [discrete_difference(n) for n in (17, 33, 65, 129)]
    orders = np.log2(np.divide(differences[:-1], differences[1:])).round(2)
    print("discrete - continuous", *(f"{d:.2e}" for d in differences), "orders", *orders)
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for n in (65, 129, 257):
        down = pj.Uniform(n, lower=D(0.0), upper=D(1.0), centred=True)  # The integrand is singular at depth 0.
        found, error = curve(Curve(X**-0.5), down, cycloid)
        neck = pj.Uniform(n, length=1.5, start=1.5, lower=D(np.arccosh(1.5)), upper=D(np.arccosh(3.0)))
        profile, second = curve(Curve(X), neck, np.arccosh)
        print(f"{n} nodes: brachistochrone - cycloid {error:.1e}, catenoid {second:.1e}")
    axes[0].plot(found, -down.points, "-", cycloid(down.points), -down.points, "k:")
    axes[1].plot(neck.points, profile, "-", neck.points, np.arccosh(neck.points), "k:")
    axes[0].legend(["found", "cycloid"]), axes[1].legend(["found", "catenary"])
    figure.savefig(Path(__file__).parent / "curves.png", dpi=110)
