"""Fast transforms of real data and the modes made of them, against SciPy and the difference stencils."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import pdejax as pj
from pdejax.calculus import laplacian
from pdejax.grids import second_derivative_modes
from pdejax.grids._real_transforms import (
    cosine_coefficients,
    cosine_values,
    quarter_order,
    quarter_sums,
    quarter_waves,
    sine_coefficients,
    sine_values,
)

D, N, P = pj.Dirichlet(0.0), pj.Neumann(0.0), pj.grids.Periodic()


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 8, 9, 10, 12, 13])
def test_short_transforms_have_every_parity_right(n):
    v = np.random.default_rng(n).standard_normal((2, n))
    sine = scipy.fft.dst(v[:, 1:-1], 1) / (n - 1)
    found = sine_coefficients(jnp.asarray(v))
    np.testing.assert_allclose(found, np.pad(sine, ((0, 0), (1, 1))), atol=1e-14)
    np.testing.assert_allclose(sine_values(found)[:, 1:-1], v[:, 1:-1], atol=1e-14)
    cosine = scipy.fft.dct(v, 1) / (n - 1)
    cosine[:, [0, -1]] /= 2
    found = cosine_coefficients(jnp.asarray(v))
    np.testing.assert_allclose(found, cosine, atol=1e-14)
    np.testing.assert_allclose(cosine_values(found), v, atol=1e-14)
    third = scipy.fft.dct(v[:, :-1], 3) / 2
    np.testing.assert_allclose(quarter_sums(jnp.asarray(v)), third[:, (quarter_order(n) - 1) // 2], atol=1e-13)
    np.testing.assert_allclose(quarter_waves(quarter_sums(jnp.asarray(v)))[:, :-1] * 2 / (n - 1), v[:, :-1], atol=1e-13)


@pytest.mark.parametrize(
    "n,dtype",
    [
        (150, np.float32),
        pytest.param(151, np.float64, marks=pytest.mark.slow),
        pytest.param(150, np.complex128, marks=pytest.mark.slow),
    ],
)
def test_long_axes_agree_with_scipy_along_any_dimension(n, dtype):
    v = np.random.default_rng(0).standard_normal((2, n, 3)).astype(dtype)
    tolerance = 30 * np.finfo(dtype).eps
    for axis, kind, cells in (
        (pj.Sine(n), ("dst", 1), n - 1),
        (pj.Sine(n, centred=True), ("dst", 2), n),
        (pj.Cosine(n), ("dct", 1), n - 1),
        (pj.Cosine(n, centred=True), ("dct", 2), n),
    ):
        closed_sine = kind == ("dst", 1)
        u = v.copy()
        if closed_sine:
            u[:, [0, -1]] = 0
        reference = getattr(scipy.fft, kind[0])(u[:, 1:-1] if closed_sine else u, kind[1], axis=1) / cells
        whole = (axis.modes[1:-1] if closed_sine else axis.modes) % cells == 0
        reference = np.where(whole[None, :, None], reference / 2, reference)
        found = axis.forward(jnp.asarray(u), 1)
        assert found.dtype == dtype
        np.testing.assert_allclose(found[:, 1:-1] if closed_sine else found, reference, atol=tolerance)
        np.testing.assert_allclose(axis.backward(found, 1), u, atol=30 * tolerance)


def test_transforms_are_differentiable_and_batched():
    axis = pj.Sine(130)
    v = jnp.asarray(np.random.default_rng(0).standard_normal((2, 130)))
    matrix = np.asarray(axis.forward(jnp.eye(130), 0))[:, 1:-1]
    gradient = jax.grad(lambda v: jnp.sum(axis.forward(v, 1) ** 2))(v)
    np.testing.assert_allclose(gradient[:, 1:-1], 2 * v[:, 1:-1] @ matrix.T @ matrix, atol=1e-14)
    np.testing.assert_allclose(jax.vmap(lambda row: axis.forward(row, 0))(v), axis.forward(v, 1), atol=1e-15)


@pytest.mark.parametrize("n", [400, 401])
@pytest.mark.parametrize(
    "ends,centred",
    [((D, D), False), ((N, N), False), ((D, N), False), ((N, D), False), ((P, P), False), ((D, D), True)]
    + [((N, N), True), ((D, N), True)],
    ids=lambda x: "".join(type(e).__name__[0] for e in x) if isinstance(x, tuple) else ("closed", "centred")[x],
)
def test_modes_diagonalise_the_second_difference(ends, centred, n):
    axis = pj.Uniform(n, length=1.3, lower=ends[0], upper=ends[1], centred=centred)
    modes = second_derivative_modes(axis)
    known = [at for at, _ in axis.known_ends]
    v = np.random.default_rng(0).standard_normal((1, n))
    v[:, known] = 0
    c = modes.forward(jnp.asarray(v), 1)
    assert c.shape == (1, n - len(known)) and modes.orthonormal
    back = modes.backward(c, 1)
    np.testing.assert_allclose(back, v, atol=1e-12)
    assert not np.any(back[:, known])
    applied = np.array(laplacian(pj.GridField(jnp.asarray(v), pj.Grid(x=axis))).values)
    applied[:, known] = 0
    size = np.abs(modes.eigenvalues).max()
    np.testing.assert_allclose(modes.backward(c * modes.eigenvalues[None], 1), applied, atol=1e-12 * size)
    weights = np.ones(n)
    if not (centred or axis.is_periodic):
        weights[[0, -1]] = 0.5
    np.testing.assert_allclose(np.sum(c**2), np.sum(weights * v**2), rtol=1e-12)
