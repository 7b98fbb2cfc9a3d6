"""The equations of the study and their dense inverses."""

import jax
import jax.numpy as jnp

import pdejax as pj
from pdejax.calculus import d
from pdejax.equations import AbstractSteady
from pdejax.fields import FunctionField
from pdejax.solvers._steady import unknowns

BUMP = FunctionField.from_function(lambda x, y: jnp.exp(-60 * ((x - 0.35) ** 2 + (y - 0.6) ** 2)), ("x", "y"))
FLOW = pj.equations.SteadyAdvectionDiffusion(velocity=jnp.asarray((1.0, 0.5)), source=BUMP)


class SpaceTimeHeat(AbstractSteady):
    """`u_y - u_xx / 10 = f`, y being time."""

    def residual(self, u):
        return d(u, "y") - 0.1 * d(u, "x", 2) - BUMP


def linear(equation, grid):
    """Right-hand side, product and dense inverse of the discrete equations, in node values."""
    system = unknowns(pj.SteadyProblem(equation, grid))
    start, product = jax.linearize(system.residual, system.guess())
    matrix = jax.vmap(lambda e: product(e.reshape(start.shape)).ravel())(jnp.eye(start.size)).T
    factors = jax.scipy.linalg.lu_factor(matrix)
    return -start, product, lambda r: jax.scipy.linalg.lu_solve(factors, r.ravel()).reshape(r.shape)
