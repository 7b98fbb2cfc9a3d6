"""The peer of the cavity study: Newton's method with SciPy's sparse LU (SuperLU), the Jacobian coloured as ours is."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse

import pdejax as pj
from pdejax.solvers._flow_preconditioner import _Stencil


@eqx.filter_jit
def residual(equation, grid, u):
    return equation.residual(pj.GridField(u, grid)).values


@eqx.filter_jit
def entries(equation, grid, u):
    product = jax.linearize(lambda w: residual(equation, grid, w), u)[1]
    return _Stencil(grid).entries(lambda v: product(v).at[-1].add(jnp.mean(v[-1])), u.dtype)


def sparse_newton(equation, grid, u, tolerance, limit=20):
    """The solution from the start `u`, one factorisation a step until the residual is `tolerance`; number of steps."""
    stencil, n, steps = _Stencil(grid), grid.shape[0], 0
    lines = np.arange(n)[:, None, None] * stencil.width
    columns = [lines + stencil.columns(step) + step * stencil.width for step in (-1, 0, 1)]
    rows = np.broadcast_to(lines + np.arange(stencil.width)[:, None], columns[0].shape).ravel()
    rows, columns = np.tile(rows, 3), np.concatenate([c.ravel() for c in columns])
    while np.linalg.norm(r := residual(equation, grid, u)) > tolerance and steps < limit:
        values = np.concatenate([np.asarray(e).ravel() for e in entries(equation, grid, u)])
        known = values != 0
        matrix = sparse.csc_matrix((values[known], (rows[known], columns[known])), (u.size, u.size))
        # The constant of the pressure, fixed in one cell and made its mean afterwards.
        matrix = matrix + sparse.csc_matrix(([-1.0], ([u.size - 1], [u.size - 1])), matrix.shape)
        move = sparse.linalg.splu(matrix).solve(-np.asarray(stencil.to_lines(r)).ravel())
        u, steps = u + stencil.from_lines(jnp.asarray(move).reshape(n, -1)), steps + 1
        u = u.at[-1].add(-jnp.mean(u[-1]))
    return u, steps
