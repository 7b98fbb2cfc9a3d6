"""The Helmholtz data set against finite differences of SciPy, at a frequency that these resolve."""

import jax
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from pdejax.data import helmholtz


def differences(c, omega):
    """Five-point differences with half cells at the walls, and the flux of each cell of the upper one."""
    n = len(c)
    h, half = 1 / (n - 1), np.r_[0.5, np.ones(n - 2), 0.5]
    steps = sp.diags([-np.ones(n - 1), np.r_[1, 2 * np.ones(n - 2), 1], -np.ones(n - 1)], [-1, 0, 1])
    cells = sp.diags(half)
    matrix = (
        sp.kron(steps, cells)
        + sp.kron(cells, steps)
        - sp.diags(((omega / c) ** 2 * np.outer(half, half)).ravel() * h**2)
    )
    x = np.linspace(0, 1, n)
    left, right = np.maximum(x - h / 2, 0.35), np.minimum(x + h / 2, 0.65)
    load = np.zeros((n, n))
    load[:, -1] = np.maximum(right - left, 0)
    return spsolve(matrix.tocsc(), load.ravel()).reshape(n, n)


def distance(u, v):
    return np.linalg.norm(u - v) / np.linalg.norm(v)


def test_slow_waves_are_those_of_differences():
    data = helmholtz(2, 81, key=jax.random.key(0), omega=100.0, solve_at=81)
    errors = [distance(differences(c, 100.0), u) for c, u in zip(data.inputs[:, 0], data.targets[:, 0], strict=True)]
    assert max(errors) < 5e-3
    # A fourth of it on twice the nodes: the limit of the differences is this solution.
    fine = helmholtz(1, 161, key=jax.random.key(0), omega=100.0, solve_at=161)
    ratio = errors[0] / distance(differences(fine.inputs[0, 0], 100.0), fine.targets[0, 0])
    assert 3 < ratio < 5
    assert data.metadata["reference_error"] < 1e-4


@pytest.mark.slow
def test_published_waves_are_converged():
    data = helmholtz(1, 101, key=jax.random.key(0))
    assert data.grid.shape == (101, 101) and data.metadata["reference_error"] < 3e-4
    assert 19 < data.inputs.min() and data.inputs.max() < 21


def test_helmholtz_refuses_what_has_no_solution():
    with pytest.raises(ValueError, match="resonates"):
        helmholtz(1, 11, key=jax.random.key(0), omega=20 * np.pi * np.sqrt(2), solve_at=11)
    with pytest.raises(ValueError, match="nodes"):
        helmholtz(1, 12, key=jax.random.key(0), solve_at=101)


def test_single_precision_waves():
    with jax.enable_x64(False):
        data = helmholtz(1, 21, key=jax.random.key(0), omega=100.0, solve_at=21)
    assert data.targets.dtype == np.float32 and data.metadata["reference_error"] < 1e-2
