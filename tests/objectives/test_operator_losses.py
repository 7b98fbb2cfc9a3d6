"""Losses of operator training against closed forms and NumPy."""

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import optax
import pytest

import pdejax as pj
from pdejax.data import Dataset, unlabelled
from pdejax.equations import Burgers, Diffusion, FisherKPP, Poisson
from pdejax.nn import SpectralConv
from pdejax.objectives import (
    FrameMean,
    FrameResidual,
    MarchedResidual,
    MildResidual,
    OnGrid,
    RelativeSobolev,
    RelativeWaveH1,
    SobolevSquare,
    SpectralResidual,
    TimeMean,
    WeightedSum,
    coefficient_squares,
    mean_square,
    mean_squared_error,
    relative_h1,
    relative_l2,
    spectrum_error,
)
from pdejax.solvers import ARS222
from pdejax.training import fit

GRID = pj.Grid(x=pj.Fourier(16), y=pj.Fourier(18))
RNG = np.random.default_rng(0)


def field(fn, grid=GRID):
    return pj.GridField.from_function(fn, grid)


@pytest.mark.parametrize("s", (-1.5, -1.0, 0.0, 0.5, 1.0, 3.0))
def test_sobolev_errors_of_sines(s):
    target = field(lambda x, y: jnp.sin(2 * x) * jnp.cos(y))
    prediction = target + field(lambda x, y: 0.1 * jnp.sin(3 * x) * jnp.cos(4 * y))
    np.testing.assert_allclose(RelativeSobolev(s)(prediction, target), 0.1 * (26 / 6) ** (s / 2), rtol=1e-12)


def test_sobolev_error_on_sines_that_vanish_at_the_ends():
    grid = pj.Grid(x=pj.Sine(17, length=1.0))
    target, change = field(lambda x: jnp.sin(jnp.pi * x), grid), field(lambda x: jnp.sin(3 * jnp.pi * x), grid)
    expected = ((1 + 9 * np.pi**2) / (1 + np.pi**2)) ** -0.25
    np.testing.assert_allclose(RelativeSobolev(-0.5)(target + change, target), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "kind", (pj.Fourier, lambda n, length: pj.Uniform(n, length, 0.0, pj.Periodic(), pj.Periodic()))
)
def test_wave_h1_counts_waves_per_length(kind):
    """Against NumPy's transform, with integer wave numbers whatever the lengths and the cutoff in force."""
    grid, cutoff = pj.Grid(x=kind(12, length=3.0), y=kind(10, length=0.5)), 4
    p, t = (RNG.normal(size=(2, 12, 10)) for _ in range(2))
    k = np.meshgrid(np.fft.fftfreq(12, 1 / 12), np.fft.fftfreq(10, 1 / 10), indexing="ij")
    inside = (np.abs(k[0]) < cutoff) & (np.abs(k[1]) < cutoff)
    weight = np.where(inside, 1 + k[0] ** 2 + k[1] ** 2, 1.0)
    square = lambda u: np.sum(weight * np.abs(np.fft.fft2(u)) ** 2)
    found = RelativeWaveH1(cutoff)(pj.GridField(p, grid), pj.GridField(t, grid))
    np.testing.assert_allclose(found, np.sqrt(square(p - t) / square(t)), rtol=1e-12)


def test_frames_have_ratios_of_their_own():
    t = RNG.normal(size=(6, 16, 18)) * np.array([1, 1, 10, 10, 100, 100])[:, None, None]
    p = t + RNG.normal(size=t.shape)
    norms = lambda u: np.sqrt((u.reshape(3, -1) ** 2).sum(axis=1))
    each = norms(p - t) / norms(t)
    prediction, target = pj.GridField(p, GRID), pj.GridField(t, GRID)
    np.testing.assert_allclose(FrameMean(relative_l2, 2)(prediction, target), each.mean(), rtol=1e-12)
    np.testing.assert_allclose(relative_l2(prediction, target), np.linalg.norm(p - t) / np.linalg.norm(t), rtol=1e-12)
    with pytest.raises(ValueError, match="channels=4"):
        FrameMean(relative_l2, 4)(prediction, target)


def test_weighted_sums_and_mean_squares():
    p, t = (pj.GridField(RNG.normal(size=(2, 16, 18)), GRID) for _ in range(2))
    both = WeightedSum([relative_l2, relative_h1], [1.0, 0.5])(p, t)
    np.testing.assert_allclose(both, relative_l2(p, t) + 0.5 * relative_h1(p, t), rtol=1e-12)
    np.testing.assert_allclose(mean_squared_error(p, t), np.mean((p.values - t.values) ** 2) * 2, rtol=1e-12)
    with pytest.raises(ValueError, match="one weight for each"):
        WeightedSum([relative_l2], [1.0, 2.0])


def test_spectrum_error_is_blind_to_phases():
    a = field(lambda x, y: jnp.sin(3 * x) + jnp.cos(5 * y))
    shifted = field(lambda x, y: jnp.sin(3 * x + 1) + jnp.cos(5 * y + 2))
    assert float(spectrum_error(shifted, a)) < 1e-12
    np.testing.assert_allclose(spectrum_error(1.1 * a, a), 0.21, rtol=1e-10)


def test_measures_of_residuals():
    u = pj.GridField(RNG.normal(size=(2, 9, 10)), pj.Grid(x=pj.Fourier(9), y=pj.Fourier(10)))
    np.testing.assert_allclose(coefficient_squares(u), mean_square(u), rtol=1e-12)
    np.testing.assert_allclose(SobolevSquare(0.0)(u), mean_square(u), rtol=1e-12)
    wave = field(lambda x, y: jnp.sin(3 * x) * jnp.cos(y))
    np.testing.assert_allclose(SobolevSquare(-1.0, 0.5)(wave), 0.25 / 10.5, rtol=1e-12)
    # T_0, T_2 and T_3 with weights 1 / 4, -1 and 2 on a Chebyshev axis.
    chebyshev = field(lambda x: 0.25 - (2 * x**2 - 1) + 2 * (4 * x**3 - 3 * x), pj.Grid(x=pj.Chebyshev(12)))
    np.testing.assert_allclose(coefficient_squares(chebyshev), 1 / 16 + 1 + 4, rtol=1e-12)


def test_an_operator_learns_poisson_without_a_solution():
    """-lap u = s: the target slot holds s, and the learnt multipliers are 1 / |k|^2."""
    grid = pj.Grid(x=pj.Sine(9, length=np.pi))
    x = grid.axes[0].points
    waves = np.stack([np.sin(k * x) for k in (1, 2, 3)])
    data = Dataset((RNG.normal(size=(64, 3)) @ waves)[:, None], np.zeros((64, 1, 9)), grid)
    model = SpectralConv(1, 1, 3, 1, key=jax.random.key(0))
    loss = SpectralResidual(Poisson)
    result = fit(
        model, unlabelled(data), loss=loss, optimizer=optax.adam(0.03), steps=400, batch_size=16, key=jax.random.key(1)
    )
    source = field(lambda x: jnp.sin(x) - 2 * jnp.sin(3 * x), grid)
    exact = field(lambda x: jnp.sin(x) - 2 / 9 * jnp.sin(3 * x), grid)
    assert float(relative_l2(result.model(source), exact)) < 1e-3
    assert float(loss(exact, source)) < 1e-24


def test_frame_residuals_of_decaying_waves():
    """u = exp(-lambda t) sin x: central differences leave `sinh(lambda dt) / dt - lambda`, the last one its own."""
    nu, dt, grid = 0.7, 0.1, pj.Grid(x=pj.Fourier(8))
    wave, decay = jnp.sin(grid.axes[0].points)[None], np.exp(-nu * dt * np.arange(5))
    frames = jnp.concatenate([factor * wave for factor in decay])
    a, u = pj.GridField(frames[:1], grid), pj.GridField(frames[1:], grid)
    left = decay[1:] * (nu - np.sinh(nu * dt) / dt)
    left[-1] = (3 * decay[4] - 4 * decay[3] + decay[2]) / (2 * dt) + nu * decay[4]
    loss = FrameResidual(Diffusion(diffusivity=nu), dt)
    np.testing.assert_allclose(loss(u, a), np.mean(left**2) / 2, rtol=1e-8)
    assert float(loss(u, a)) < 1e-3 * float(loss(1.5 * u, a))
    with pytest.raises(ValueError, match="two or more"):
        loss(u[0], a)


def test_marched_residual_of_logistic_growth():
    """Zero to first order in dt for any u: a step `u + dt f(u) + ..` leaves `-dt f'(u) f(u) / 2` (of order two)."""
    grid, dt = pj.Grid(x=pj.Fourier(8)), 1e-4
    u = np.array([0.2, 0.9, 0.55])
    rate, slope = 2 * u * (1 - u), 2 * (1 - 2 * u)
    loss = MarchedResidual(FisherKPP(0.1, 2.0), ARS222(dt=dt), mean_square)
    frames = lambda values: pj.GridField(jnp.asarray(values)[:, None] * jnp.ones((1, 8)), grid)
    np.testing.assert_allclose(loss(frames(u)), np.mean((dt * slope * rate / 2) ** 2), rtol=2e-3)
    # Whether the frames follow one another does not matter.
    np.testing.assert_allclose(loss(frames(u[::-1])), loss(frames(u)), rtol=1e-6)


def test_marched_residual_leaves_out_the_wave_without_a_derivative():
    """The steppers drop it, which is no rate of change."""
    u = field(lambda x, y: jnp.sin(x) * jnp.cos(y))
    jagged = u + field(lambda x, y: 0.1 * jnp.cos(8 * x))
    loss = MarchedResidual(FisherKPP(0.1, 2.0), ARS222(dt=1e-4), mean_square)
    np.testing.assert_allclose(loss(jagged), loss(u), rtol=1e-6)


def test_a_loss_on_the_differences_of_other_axes():
    """The stencil sees `(2 - 2 cos k h) / h^2` where waves have `k^2`."""
    n, k = 16, 3
    h = 2 * np.pi / n
    grid = pj.Grid(x=pj.Fourier(n))
    stencil = pj.Grid(x=pj.Uniform(n, 2 * np.pi, 0.0, pj.Periodic(), pj.Periodic()))
    wave = field(lambda x: jnp.sin(k * x), grid)
    loss = SpectralResidual(Poisson, mean_square)
    left = k**2 - (2 - 2 * np.cos(k * h)) / h**2
    np.testing.assert_allclose(OnGrid(loss, stencil)(wave, k**2 * wave), left**2 / 2, rtol=1e-10)
    assert float(loss(wave, k**2 * wave)) < 1e-24


def test_a_measure_of_each_time():
    """sin(3 x) (1 + t) on eleven times: the mean of `(1 + t)^2 / (2 (1 + 9))`."""
    time = pj.Uniform(11)
    r = field(lambda t, x: jnp.sin(3 * x) * (1 + t), pj.Grid(t=time, x=pj.Fourier(12)))
    found = TimeMean(SobolevSquare(-1.0))(r)
    np.testing.assert_allclose(found, np.mean((1 + time.points) ** 2) / 20, rtol=1e-12)
    with pytest.raises(ValueError, match='"t"'):
        TimeMean(mean_square)(field(lambda x: x, pj.Grid(x=pj.Fourier(12))))


def test_mild_residual_is_the_error_where_the_equation_is_linear():
    space, time = pj.Fourier(16, length=1.0), pj.Uniform(6, 0.2)
    wave = lambda t, x: jnp.exp(-0.4 * jnp.pi**2 * t) * jnp.cos(2 * jnp.pi * x)
    exact = field(wave, pj.Grid(t=time, x=space))
    start = field(lambda x: wave(0.0, x), pj.Grid(x=space))
    loss = MildResidual(Diffusion(0.1))
    wrong = exact.with_values(exact.values + 0.1 * jax.random.normal(jax.random.key(0), exact.values.shape))
    np.testing.assert_allclose(loss(wrong, start), relative_l2(wrong, exact), rtol=1e-12)
    np.testing.assert_allclose(loss(wrong, exact), loss(wrong, start), rtol=1e-12)
    assert loss(exact, start) < 1e-12


def test_gradient_of_the_mild_residual():
    space, time = pj.Fourier(8, length=1.0), pj.Uniform(5, 0.2)
    start = field(lambda x: jnp.sin(2 * jnp.pi * x), pj.Grid(x=space))
    u = field(lambda t, x: (1 + t) * jnp.sin(2 * jnp.pi * x), pj.Grid(t=time, x=space))
    loss = lambda values: MildResidual(Burgers(0.1), mean_squared_error)(u.with_values(values), start)
    jax.test_util.check_grads(loss, (u.values,), order=1, modes=("rev", "fwd"))
