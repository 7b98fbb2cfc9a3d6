"""The steppers against data by others, exact solutions and SciPy. Errors are relative L2 norms over times and nodes."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.io
from scipy.integrate import solve_ivp

import pdejax as pj

E, S = pj.equations, pj.solvers
RECOVER = Path(__file__).parents[2] / "experiments" / "reaction_ab" / "recover.py"


def relative(u, truth) -> float:
    return float(np.linalg.norm(u - truth) / np.linalg.norm(truth))


def evolve(equation, start, axis, times, method, **other_axes) -> np.ndarray:
    """Values `(times, channels, *nodes)` of the solution that starts from a function or from values."""
    grid = pj.Grid(x=axis, **other_axes)
    u0 = pj.GridField.from_function(start, grid) if callable(start) else pj.GridField(jnp.asarray(start), grid)
    problem = pj.EvolutionProblem(equation, u0, times[0], times[-1])
    return np.asarray(pj.solve(problem, method, save_at=times).value.values)


def dop853(rate, start, times) -> np.ndarray:
    """The same equation as ordinary differential equations, by a method of order eight with tight tolerances."""
    span = (times[0], times[-1])
    return solve_ivp(rate, span, start, method="DOP853", rtol=1e-11, atol=1e-12, t_eval=times).y.T


def test_korteweg_de_vries(shared_data):
    """Zabusky and Kruskal's waves; the file is accurate to 6.6e-12."""
    data = scipy.io.loadmat(shared_data / "ref1d" / "kdv_cos.mat")
    u = evolve(
        E.KortewegDeVries(1.0, 0.0025),
        lambda x: jnp.cos(np.pi * x),
        pj.Fourier(512, length=2.0, start=-1.0),
        data["tt"].ravel(),
        S.Krogstad4(dt=5e-4),
    )
    assert relative(u[:, 0].T, data["uu"]) < 1e-8


def test_burgers_shock(shared_data):
    """A shock 0.005 wide on sines, by Cole and Hopf to 2.9e-12 in the file."""
    data = scipy.io.loadmat(shared_data / "ref1d" / "burgers_shock.mat")
    axis = pj.Sine(4 * 255 + 1, length=2.0, start=-1.0)
    u = evolve(E.Burgers(0.01 / np.pi), lambda x: -jnp.sin(np.pi * x), axis, data["t"].ravel(), S.Krogstad4(dt=2e-3))
    assert relative(u[:, 0, ::4].T, data["usol"]) < 1e-6


def sech(x):
    return jax.lax.complex(2 / jnp.cosh(x), 0 * x)


def test_nonlinear_schroedinger_on_the_nodes_of_the_file_and_beyond(shared_data):
    """The file solves the equation on 256 nodes without dealiasing: its slope jumps at the ends of the period, so that
    the solution itself is 1.7e-5 away.
    """
    data = scipy.io.loadmat(shared_data / "ref1d" / "nls_sech.mat")
    times = data["tt"].ravel()

    def distance(n, steps):
        axis, method = pj.Fourier(n, length=10.0, start=-5.0), S.ETDRK4(dt=times[-1] / steps, dealias=1.0)
        u = evolve(E.NonlinearSchroedinger(0.5, 1.0), sech, axis, times, method)
        return relative(u[:, 0, :: n // 256].T, data["uu"])

    assert distance(256, 4000) < 1e-7
    assert 1.5e-5 < distance(1024, 4000) < 2e-5


def allen_cahn(n, times):
    ends = pj.Dirichlet(-1.0)
    axis = pj.Uniform(n, length=2.0, start=-1.0, lower=ends, upper=ends, order=6)
    start = lambda x: x**2 * jnp.cos(np.pi * x)
    return evolve(E.AllenCahn(1e-3, 5.0), start, axis, times, S.RK4(dt=5e-3))[:, 0, :: (n - 1) // 200]


def test_allen_cahn_with_given_ends(shared_data):
    """The ends are held at -1. (With a period of 2 instead the solution is 5.8e-4 away from the file.)"""
    data = scipy.io.loadmat(shared_data / "ref1d" / "allen_cahn_d1e-3.mat")
    coarse, fine = (allen_cahn(n, data["t"].ravel()) for n in (201, 401))
    assert relative(coarse, fine) < 3e-5
    # The rest is the error of the file, which both resolutions show.
    assert relative(fine, data["u"]) < 1.7e-4


@pytest.fixture(scope="module")
def reaction(shared_data):
    data = np.load(shared_data / "ref1d" / "reaction_AB.npz")
    return data["t"].ravel(), np.stack([data["Ca"], data["Cb"]], axis=1)


def react(times, start, order):
    axis = pj.Uniform(201, lower=pj.Dirichlet(1.0), upper=pj.Neumann(0.0), order=order)
    return evolve(E.SecondOrderReaction(2e-3, 2e-3, 0.1), start, axis, times, S.ETDRK4(dt=0.05))


def test_reaction_of_two_species(reaction):
    """The file smears the first steps, where the reaction sets in against the fixed concentrations at one end, and
    afterwards reacts half a per cent too slowly (see the recovered rate); two resolutions of ours are much closer.
    """
    times, data = reaction
    assert relative(react(times, data[0], 2), data) < 5.5e-4
    second, fourth = (react(times[10:], data[10], order) for order in (2, 4))
    assert relative(second, fourth) < 1e-4
    assert relative(second, data[10:]) < 4.3e-4


def test_parameters_are_recovered_from_clean_data(reaction):
    """Diffusivity within 0.1 %, rate within 1 %, starting from half and from three times their values."""
    study, (times, data) = runpy.run_path(str(RECOVER)), reaction
    start, times, data = study["field"](data[10]), times[10:], data[10:]
    found = study["fit"](times, start, data)
    assert np.all(np.abs(found / [2e-3, 0.1] - 1) < [1e-3, 1e-2])
    assert relative(study["simulate"](found, start, times), data) < 1.2e-4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_parameters_are_recovered_from_noisy_data(reaction, seed):
    """Diffusivity within 1 %, rate within 3 %, with noise of 1 % of the largest concentration."""
    study, (times, data) = runpy.run_path(str(RECOVER)), reaction
    noise = 0.01 * np.random.default_rng(seed).standard_normal(data.shape)
    found = study["fit"](times, study["field"](data[0]), data + noise)
    assert np.all(np.abs(found / [2e-3, 0.1] - 1) < [1e-2, 3e-2])


H = 1 / 62
WALLS = pj.Uniform(63, length=63 * H, start=-H / 2, lower=pj.Neumann(0.0), upper=pj.Neumann(0.0), centred=True)
GRAY_SCOTT = E.GrayScott(diffusivity_u=5e-4, diffusivity_v=2.5e-4, feed=0.04, kill=0.065)


@pytest.fixture(scope="module")
def gray_scott(shared_data):
    """Rough steady states (21, 2, 63, 63), and the largest entry of the tendency of each, by others."""
    data = np.load(shared_data / "nonlinear" / "grayscott_guesses.npz")
    return np.stack([data["S"], data["A"]], axis=1), data["residual"]


def test_gray_scott_tendency(gray_scott):
    states, largest = gray_scott
    field = jax.vmap(lambda v: pj.GridField(v, pj.Grid(x=WALLS, y=WALLS)))(jnp.asarray(states))
    ours = np.abs(jax.vmap(lambda u: GRAY_SCOTT.tendency(u, 0.0).values)(field)).max(axis=(1, 2, 3))
    np.testing.assert_allclose(ours, largest, rtol=1e-10)


@pytest.mark.parametrize("sample", [5, 15])
def test_gray_scott_from_rough_states(gray_scott, sample):
    """The file has no times: the same five-point Laplacian by SciPy is the truth."""
    start, times = gray_scott[0][sample], np.array([0.0, 10.0, 25.0, 50.0])

    def rate(t, y):
        u, v = y.reshape(2, 63, 63)
        wide = np.pad(y.reshape(2, 63, 63), ((0, 0), (1, 1), (1, 1)), mode="edge")
        around = wide[:, 2:, 1:-1] + wide[:, :-2, 1:-1] + wide[:, 1:-1, 2:] + wide[:, 1:-1, :-2]
        spread = np.array([5e-4, 2.5e-4])[:, None, None] * (around - 4 * wide[:, 1:-1, 1:-1]) / H**2
        made = u * v**2
        return (spread + np.stack([0.04 * (1 - u) - made, made - 0.105 * v])).ravel()

    truth = dop853(rate, start.ravel(), times).reshape(-1, 2, 63, 63)
    u = evolve(GRAY_SCOTT, start, WALLS, times, S.ETDRK4(dt=0.25), y=WALLS)
    assert relative(u, truth) < 1e-8


def test_thin_allen_cahn_walls():
    """`D = 1e-4` on a period of 2 (Raissi, Perdikaris & Karniadakis 2019), to 1e-5 of twice the modes by SciPy."""
    n, times = 1024, np.linspace(0, 1, 11)
    x, k = -1 + 2 * np.arange(n) / n, np.pi * np.fft.rfftfreq(n, 1 / n)
    rate = lambda t, v: np.fft.irfft(-1e-4 * k**2 * np.fft.rfft(v), n) + 5 * (v - v**3)
    truth = dop853(rate, x**2 * np.cos(np.pi * x), times)
    start = lambda x: x**2 * jnp.cos(np.pi * x)
    u = evolve(E.AllenCahn(1e-4, 5.0), start, pj.Fourier(512, length=2.0, start=-1.0), times, S.ETDRK4(dt=1e-2))
    assert relative(u[:, 0], truth[:, ::2]) < 1e-5


def two_solitons(t, x, k=(2.0, 1.0), start=(-8.0, 0.0)):
    """`2 (log tau)_xx` with `tau = 1 + e1 + e2 + a e1 e2` (Hirota 1971)."""
    e1, e2 = (np.exp(ki * (x - xi) - ki**3 * t) for ki, xi in zip(k, start, strict=True))
    both = ((k[0] - k[1]) / (k[0] + k[1])) ** 2 * e1 * e2
    tau, slope, bend = (1 * (m == 0) + k[0] ** m * e1 + k[1] ** m * e2 + sum(k) ** m * both for m in range(3))
    return 2 * (bend / tau - (slope / tau) ** 2)


def test_one_soliton_overtakes_another():
    """The tall one is 8 behind at first and 4 ahead at t = 5; to 1e-6."""
    axis, times = pj.Fourier(512, length=60.0, start=-20.0), np.linspace(0, 5, 6)
    u = evolve(E.KortewegDeVries(), two_solitons(0.0, axis.points)[None], axis, times, S.ETDRK4(dt=2e-3))
    truth = two_solitons(times[:, None], axis.points)
    assert np.argmax(truth[0]) < np.argmin(np.abs(axis.points)) < np.argmax(truth[-1])
    assert relative(u[:, 0], truth) < 1e-6


def test_breather_of_two_bound_solitons():
    """`u(0) = 2 sech x` through two periods of its envelope (Satsuma & Yajima 1974), to 1e-6."""
    axis, times = pj.Fourier(512, length=40.0, start=-20.0), np.linspace(0, np.pi, 9)
    x, t = axis.points, times[:, None]
    above = np.cosh(3 * x) + 3 * np.exp(4j * t) * np.cosh(x)
    truth = 4 * np.exp(0.5j * t) * above / (np.cosh(4 * x) + 4 * np.cosh(2 * x) + 3 * np.cos(4 * t))
    u = evolve(E.NonlinearSchroedinger(0.5, 1.0), sech, axis, times, S.ETDRK4(dt=np.pi / 2000))
    assert relative(u[:, 0], truth) < 1e-6


def test_chaos_of_kuramoto_and_sivashinsky_to_a_time_of_forty():
    """Kassam and Trefethen's (2005) initial field, to 1e-5 of the same modes by SciPy, dealiased by 3/2."""
    n, times = 192, np.array([0.0, 20.0, 40.0])
    x, k = 32 * np.pi * np.arange(n) / n, np.fft.rfftfreq(n, 1 / n) / 16
    kept = k < 4

    def rate(t, v):
        c = np.fft.rfft(v)
        return np.fft.irfft(kept * ((k**2 - k**4) * c - 0.5j * k * np.fft.rfft(v**2)), n)

    truth = dop853(rate, np.cos(x / 16) * (1 + np.sin(x / 16)), times)
    start = lambda x: jnp.cos(x / 16) * (1 + jnp.sin(x / 16))
    u = evolve(E.KuramotoSivashinsky(), start, pj.Fourier(128, length=32 * np.pi), times, S.ETDRK4(dt=0.05))
    # 64 common nodes.
    assert relative(u[:, 0, ::2], truth[:, ::3]) < 1e-5
