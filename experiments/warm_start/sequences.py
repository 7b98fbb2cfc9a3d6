"""The sequences of the study: maps with a fixed point and steady problems, each with one parameter that varies."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import pdejax as pj
from pdejax.equations import GrayScott, SteadyNavierStokes
from pdejax.equations._steady_state import SteadyState
from pdejax.fields import Eigenbasis
from pdejax.grids import scale
from pdejax.solvers import (
    FGMRES,
    Anderson,
    Broyden,
    ConstantForcing,
    LineElimination,
    ModalAverage,
    NewtonKrylov,
    PseudoTransient,
    fixed_point,
    latest,
    secant,
)

jax.config.update("jax_enable_x64", True)
DATA = Path(__file__).parents[3] / "shared" / "data"
axis = pj.Uniform(65, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0))
SQUARE, BOX = pj.Grid(x=axis, y=axis), pj.Grid(x=pj.Fourier(64), y=pj.Fourier(64))
cell = pj.Uniform(63, length=63 / 62, start=-1 / 124, lower=pj.Neumann(0.0), upper=pj.Neumann(0.0), centred=True)
PLATE = pj.Grid(x=cell, y=cell)
cell = pj.Uniform(64, lower=pj.Dirichlet(), upper=pj.Dirichlet(), centred=True)
CAVITY = pj.Grid(x=cell, y=cell)


def diffused(u, shift, by):
    """`(shift - by lap)^-1 u`."""
    basis = Eigenbasis(u.grid)
    return basis.backward(scale(basis.forward(u), 1 / (shift - by * basis.laplacian())[None]))


def bratu(u, rate):
    return diffused(u.with_values(rate * jnp.exp(u.values)), 0.0, 1.0)


def euler(u, before):
    """A step of 0.8 of the Allen-Cahn equation, implicit; its sequence is one in time."""
    return diffused(u.with_values(before.values + 0.8 * (u.values - u.values**3)), 1.0, 0.8 * 1e-3)


def iterated(fn, start, solver, remember=False):
    """A fixed point for each parameter; counts applications of the map."""

    def solve(parameter, guess, state):
        memory = state if remember else None
        return fixed_point(fn, start if guess is None else guess, parameter, solver, memory=memory, throw=False)

    return solve, "num_steps"


def newton(family, start, method):
    """A steady problem for each parameter; counts Krylov steps, which are what Newton's method costs."""

    def solve(parameter, guess, state):
        guess = start if guess is None else guess
        problem = pj.SteadyProblem(family(jnp.asarray(parameter)), start.grid, start.channels, guess)
        return pj.solve(problem, method, max_steps=200, throw=False)

    return solve, "linear_steps"


def cases():
    """By name and kind of start: how to solve and what to count, the parameters, the first state, the predictor."""
    zero = pj.GridField(jnp.zeros((1, *SQUARE.shape)), SQUARE)
    noise = pj.GridField(jax.random.normal(jax.random.key(0), (1, *BOX.shape)), BOX)
    first, rates = diffused(noise, 1.0, 3e-3), np.linspace(3.0, 6.6, 13)
    rough = np.load(DATA / "nonlinear" / "grayscott_guesses.npz")
    rough = pj.GridField(jnp.stack([rough["S"][20], rough["A"][20]]), PLATE)
    still, pace = pj.GridField(jnp.zeros((3, *CAVITY.shape)), CAVITY), PseudoTransient(100.0, 20.0, 1e12, 0.5, 1.5)
    spots = NewtonKrylov(FGMRES(1e-2, max_steps=200), ModalAverage(), ConstantForcing(1e-2), pace, rtol=1e-9)
    lid = NewtonKrylov(FGMRES(1e-2, max_steps=60), LineElimination(), rtol=1e-9)
    rest = lambda feed: SteadyState(GrayScott(5e-4, 2.5e-4, feed, 0.065))
    flow = lambda reynolds: SteadyNavierStokes(1 / reynolds, walls={"y": (None, (1.0, 0.0))})
    out = {}
    for name, solver in (("Anderson", Anderson(1e-8)), ("Broyden", Broyden(1e-8))):
        for what, fn, start, values in (
            ("Bratu, rate", bratu, zero, rates),
            ("Allen-Cahn, time", euler, 0 * first, 20),
        ):
            values = [None] * values if isinstance(values, int) else values
            for kind, remember, predictor in (
                ("cold", False, None),
                ("latest", False, latest),
                ("secant", False, secant),
                ("latest, memory", True, latest),
                ("secant, memory", True, secant),
            ):
                out[f"{what}, {name}", kind] = (iterated(fn, start, solver, remember), values, first, predictor)
    for kind, predictor in (("cold", None), ("latest", latest), ("secant", secant)):
        feeds, numbers = np.linspace(0.04, 0.041, 11), np.linspace(100, 1000, 10)
        out["Gray-Scott, feed, Newton-Krylov", kind] = newton(rest, rough, spots), feeds, None, predictor
        out["cavity, Reynolds number, Newton-Krylov", kind] = newton(flow, still, lid), numbers, None, predictor
    return out
