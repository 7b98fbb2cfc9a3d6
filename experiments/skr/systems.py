"""The systems of the study: batches of steady problems, and SciPy's direct solution of one of them."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import pdejax as pj
from pdejax.data import GaussianRandomField
from pdejax.solvers._steady import unknowns
from pdejax.solvers.multigrid import probe

NEIGHBOURS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def problems(kind, n, count, seed):
    zero, names = pj.Dirichlet(0.0), ("x", "y")
    grid, nodes, cosine = (
        pj.Grid(**dict.fromkeys(names, axis))
        for axis in (pj.Uniform(n + 2, lower=zero, upper=zero), pj.Uniform(n + 2), pj.Cosine(n + 2))
    )
    draw = lambda key: GaussianRandomField(2.0, 3.0).sample(cosine, key=key).values
    fields = jax.vmap(draw)(jax.random.split(jax.random.key(seed), count))
    if kind == "Helmholtz":
        k = jnp.asarray(np.random.default_rng(seed).uniform(10, 12, count))
        return jax.vmap(lambda k, f: pj.SteadyProblem(pj.equations.Helmholtz(k, pj.GridField(f, nodes)), grid))(
            k, fields
        )
    return jax.vmap(lambda f: pj.SteadyProblem(pj.equations.Darcy(pj.GridField(jnp.exp(f), nodes)), grid))(fields)


def lu_seconds(problem):
    """CPU seconds of SciPy's sparse LU for one system, assembled by probing."""
    system = unknowns(problem)
    start, product = jax.linearize(system.residual, system.guess())
    stencil = probe(product, 1, problem.grid.shape, (False, False), NEIGHBOURS, np.dtype(float))
    number = np.pad(np.arange(start.size).reshape(problem.grid.shape), 1, constant_values=-1)
    columns = [np.roll(number, (-a, -b), (0, 1))[1:-1, 1:-1].ravel() for a, b in NEIGHBOURS]
    values, columns, rows = np.ravel(stencil.coefficients), np.concatenate(columns), np.tile(np.arange(start.size), 5)
    inside, begin = columns >= 0, time.process_time()
    matrix = sp.csc_array((values[inside], (rows[inside], columns[inside])))
    spla.splu(matrix).solve(-np.ravel(start))
    return time.process_time() - begin
