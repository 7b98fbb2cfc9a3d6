"""Data sets of evolutions: against integrators written out here, balances, and exact solutions."""

import jax
import numpy as np
import pytest

from pdejax.data import (
    RandomWaves,
    kolmogorov,
    lorenz96,
    navier_stokes_nu1e_3,
    navier_stokes_nu1e_4,
    navier_stokes_nu1e_5,
    nsm_navier_stokes,
    nsm_reaction_diffusion,
    pdebench_advection,
    pdebench_burgers,
    pdebench_diffusion_reaction,
    pdebench_diffusion_sorption,
    pdebench_reaction_diffusion,
    pdebench_shallow_water,
)

KEY = jax.random.key(0)


def split_reaction(u: np.ndarray, diffusivity: float, growth: float, end: float, steps: int = 400) -> np.ndarray:
    """Strang splitting of exact diffusion and the exact logistic law on the unit ring."""
    dt, k = end / steps, 2 * np.pi * np.arange(u.shape[-1] // 2 + 1)
    decay = np.exp(-diffusivity * k**2 * dt / 2)
    for _ in range(steps):
        u = np.fft.irfft(np.fft.rfft(u) * decay, u.shape[-1])
        u = u / (u + (1 - u) * np.exp(-growth * dt))
        u = np.fft.irfft(np.fft.rfft(u) * decay, u.shape[-1])
    return u


def flow(w: np.ndarray, length: float, nu: float, drag: float, force: np.ndarray, end: float, steps: int) -> np.ndarray:
    """Vorticity by the classical Runge-Kutta method, products truncated by the 2/3 rule."""
    n = w.shape[-1]
    k = 2 * np.pi / length * np.fft.fftfreq(n, 1 / n)
    kx, ky = k[:, None], k[None]
    square = kx**2 + ky**2
    whole = np.abs(np.fft.fftfreq(n, 1 / n)) < n / 3
    keep = whole[:, None] & whole[None]
    stream = np.where(square > 0, 1 / np.where(square > 0, square, 1), 0)
    real = lambda c: np.fft.ifft2(c * keep).real

    def rate(c):
        v, u = real(-1j * kx * stream * c), real(1j * ky * stream * c)
        carried = np.fft.fft2(u * real(1j * kx * c) + v * real(1j * ky * c)) * keep
        return -carried - (nu * square + drag) * c + np.fft.fft2(force)

    c, dt = np.fft.fft2(w), end / steps
    for _ in range(steps):
        a = rate(c)
        b = rate(c + dt / 2 * a)
        d = rate(c + dt / 2 * b)
        c = c + dt / 6 * (a + 2 * b + 2 * d + rate(c + dt * d))
    return np.fft.ifft2(c).real


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_advection_shifts_the_waves():
    data = pdebench_advection(4, 100, key=KEY, velocity=1.0)
    assert data.values.shape == (4, 201, 1, 100) and data.times[-1] == 2
    for frame in (1, 37, 100, 200):
        np.testing.assert_allclose(data.values[:, frame, 0], np.roll(data.values[:, 0, 0], frame, axis=-1), atol=1e-11)
    assert data.metadata["parameters"] == {"velocity": 1.0}


def test_random_waves_are_what_they_say():
    x = np.arange(64) / 64
    draw = jax.jit(jax.vmap(lambda key: (RandomWaves().draw(key)(x), RandomWaves().draw_scaled(key)(x))))
    plain, scaled = map(np.asarray, draw(jax.random.split(KEY, 400)))
    modes = np.abs(np.fft.rfft(plain)) / 64
    pure = modes[:, 9:].max(axis=1) < 1e-12  # neither bars nor a window
    assert abs(pure.mean() - 0.81) < 0.08
    assert (modes[pure] > 1e-9).sum(axis=1).max() == 2 and modes[pure, 0].max() < 1e-12
    assert np.abs(plain).max() <= 2 and scaled.min() >= 0 and scaled.max() <= 1


def test_reaction_and_diffusion_agree_with_exact_splitting():
    data = nsm_reaction_diffusion(2, 64, key=KEY, diffusivity=0.01, solve_at=64)
    start = data.values[:, 0, 0]
    np.testing.assert_allclose([start.min(axis=1), start.max(axis=1)], [[0, 0], [1, 1]], atol=1e-12)
    assert distance(data.values[:, 32, 0], split_reaction(start, 0.01, 5.0, 0.5)) < 1e-4
    assert data.metadata["reference_error"] < 1e-8


@pytest.mark.slow
def test_pdebench_reaction_agrees_with_exact_splitting():
    data = pdebench_reaction_diffusion(2, 128, key=KEY, diffusivity=1.0, growth=5.0)
    assert distance(data.values[:, 50, 0], split_reaction(data.values[:, 0, 0], 1.0, 5.0, 0.5)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("definition", "nu", "end"),
    [(navier_stokes_nu1e_3, 1e-3, 50), (navier_stokes_nu1e_4, 1e-4, 30), (navier_stokes_nu1e_5, 1e-5, 20)],
)
def test_forced_flow_agrees_with_another_integrator(definition, nu, end):
    data = definition(2, 16, key=KEY, solve_at=32, dt=0.05)
    assert data.values.shape == (2, end + 1, 1, 16, 16) and data.metadata["parameters"]["viscosity"] == nu
    whole = definition(1, 32, key=KEY, solve_at=32, dt=0.05).values[0, :, 0]
    np.testing.assert_allclose(whole[:, ::2, ::2], data.values[0, :, 0], atol=1e-9)
    assert np.abs(whole.mean(axis=(1, 2))).max() < 1e-12
    x = np.arange(32) / 32
    phase = 2 * np.pi * np.add.outer(x, x)
    again = flow(whole[0], 1.0, nu, 0.0, 0.1 * (np.sin(phase) + np.cos(phase)), 1.0, 100)
    assert distance(whole[1], again) < (1e-3 if nu == 1e-3 else 4e-2)  # ours keeps waves that the other truncates


def test_frames_of_forced_flow_lie_where_asked():
    data = navier_stokes_nu1e_3(1, 8, key=KEY, solve_at=8, dt=0.1, end=0.6, every=0.2)
    np.testing.assert_allclose(data.times, [0.0, 0.2, 0.4, 0.6])
    with pytest.raises(ValueError, match="apart"):
        navier_stokes_nu1e_3(1, 8, key=KEY, solve_at=8, dt=0.1, end=0.5, every=0.2)


@pytest.mark.slow
def test_kolmogorov_flow_and_decay_agree_with_another_integrator():
    data = kolmogorov(1, 32, key=KEY, reynolds=20, solve_at=32)
    y = 2 * np.pi * np.arange(32) / 32
    force = np.broadcast_to(-8 * np.cos(8 * y), (32, 32))
    assert distance(data.values[0, 5, 0], flow(data.values[0, 0, 0], 2 * np.pi, 1 / 20, 0.1, force, 0.5, 100)) < 1e-2
    decay = nsm_navier_stokes(1, 32, key=KEY, viscosity=1e-2, solve_at=32)
    start = decay.values[0, 0, 0]
    assert abs(start.mean()) < 1e-12
    assert distance(decay.values[0, 10, 0], flow(start, 1.0, 1e-2, 0.0, np.zeros((32, 32)), 1.0, 200)) < 1e-4


@pytest.mark.slow
def test_burgers_loses_the_energy_it_should():
    data = pdebench_burgers(3, 256, key=KEY, viscosity=0.05, solve_at=256)
    u = data.values[:, :, 0]
    np.testing.assert_allclose(u.mean(-1), np.broadcast_to(u[:, :1].mean(-1), u.shape[:2]), atol=1e-12)
    slope = np.fft.irfft(2j * np.pi * np.arange(129) * np.fft.rfft(u), 256)
    lost = 0.05 / np.pi * (slope**2).mean(-1)
    energy = 0.5 * (u**2).mean(-1)
    between = 0.5 * (lost[:, 50:-1] + lost[:, 51:]) * 0.01
    np.testing.assert_allclose(energy[:, 50:-1] - energy[:, 51:], between, rtol=2e-2, atol=1e-12)


@pytest.mark.slow
def test_patterns_and_their_means():
    data = pdebench_diffusion_reaction(2, 17, key=KEY, solve_at=17)
    assert data.values.shape == (2, 101, 2, 17, 17)
    u, v = data.values[:, 60:63, 0], data.values[:, 60:63, 1]
    mean = lambda a: (a * data.grid.weights()).sum((-2, -1)) / 4
    rate = (mean(u)[:, 2] - mean(u)[:, 0]) / 0.1, (mean(v)[:, 2] - mean(v)[:, 0]) / 0.1
    np.testing.assert_allclose(rate[0], mean(u - u**3 - 5e-3 - v)[:, 1], atol=5e-3)
    np.testing.assert_allclose(rate[1], mean(u - v)[:, 1], atol=2e-3)


@pytest.mark.slow
def test_the_dam_breaks_evenly():
    data = pdebench_shallow_water(2, 16, key=KEY, solve_at=32)
    h, m = data.values[:, :, 0], data.values[:, :, 1:]
    mass = h.mean((-2, -1))
    np.testing.assert_allclose(mass, np.broadcast_to(mass[:, :1], mass.shape), rtol=1e-4)  # no wave leaves yet
    radius = np.sqrt((mass[:, 0] - 1) * 25 / np.pi)
    assert (0.29 < radius).all() and (radius < 0.71).all()
    np.testing.assert_allclose(h, np.swapaxes(h, -1, -2), atol=1e-12)
    np.testing.assert_allclose(m[:, :, 0], np.swapaxes(m[:, :, 1], -1, -2), atol=1e-12)
    assert h.min() > 0.3 and h.max() <= 2 and np.abs(m[:, 0]).max() == 0


@pytest.mark.slow
def test_the_ground_takes_up_what_comes_in():
    data = pdebench_diffusion_sorption(2, 257, key=KEY, solve_at=257)
    u = data.values[:, :, 0]
    assert u.max() <= 1 + 1e-9 and np.diff(u[:, 10:], axis=1).min() > -1e-6
    capacity = (1 - 0.29) / 0.29 * 2880 * 3.5e-4
    held = ((u + capacity * u**0.874) * data.grid.axis("x").weights).sum(-1)
    flux = -5e-4 * (-3 * u[:, :, 0] + 4 * u[:, :, 1] - u[:, :, 2]) * 128
    inflow = 0.5 * (flux[:, 200:-1] + flux[:, 201:]).sum(-1)
    np.testing.assert_allclose(held[:, -1] - held[:, 200], inflow, rtol=2e-3)


@pytest.mark.slow
def test_subgrid_tendencies_close_the_budget():
    data = lorenz96(2, 9, key=KEY, every=1, frames=21)
    assert data.values.shape == (2, 21, 2, 9) and data.metadata["reference_error"] < 1e-5
    x, g = data.values[:, :, 0], data.values[:, :, 1]
    known = (np.roll(x, -1, -1) - np.roll(x, 2, -1)) * np.roll(x, 1, -1) - x + 10
    mean = (known[:, :-2] * -1 + known[:, 1:-1] * 8 + known[:, 2:] * 5) / 12  # over the later of two steps
    np.testing.assert_allclose((x[:, 2:] - x[:, 1:-1]) / 5e-3, mean + g[:, 1:-1], atol=2e-3)
