"""Generated data against solvers that share no code with ours, and reproducibility from the key."""

import equinox as eqx
import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.sparse
import scipy.sparse.linalg

from pdejax.data import (
    Dataset,
    burgers_2pi_nu0_1,
    burgers_unit_frames,
    burgers_unit_nu1e_2,
    burgers_unit_nu1e_3,
    darcy_fno,
    darcy_rough,
    darcy_trigonometric,
    generate,
    read_well,
    write_well,
)
from pdejax.grids import Fourier, Uniform


def direct(a: np.ndarray) -> np.ndarray:
    """Pressure for one permeability on closed nodes: five-point fluxes assembled face by face, sparse LU."""
    n = a.shape[0]
    number = np.arange(n * n).reshape(n, n)
    rows, columns, entries = [], [], []
    for p, q in ((number[:-1], number[1:]), (number[:, :-1], number[:, 1:])):
        face = 0.5 * (a.ravel()[p] + a.ravel()[q]) * (n - 1) ** 2
        for i, j, sign in ((p, p, 1), (q, q, 1), (p, q, -1), (q, p, -1)):
            rows.append(i.ravel()), columns.append(j.ravel()), entries.append(sign * face.ravel())
    index = tuple(map(np.concatenate, (rows, columns)))
    matrix = scipy.sparse.csc_array((np.concatenate(entries), index), shape=(n * n, n * n))
    inner = number[1:-1, 1:-1].ravel()
    u = np.zeros(n * n)
    u[inner] = scipy.sparse.linalg.spsolve(matrix[np.ix_(inner, inner)], np.ones(len(inner)))
    return u.reshape(n, n)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.fixture(scope="module")
def fine() -> Dataset:
    return darcy_fno(3, 43, key=jax.random.key(0), solve_at=43)


@pytest.fixture(scope="module")
def darcy() -> Dataset:
    return darcy_fno(20, 22, key=jax.random.key(0), solve_at=43)


def test_darcy_agrees_with_a_direct_solve(fine):
    assert fine.inputs.shape == fine.targets.shape == (3, 1, 43, 43) and fine.targets.dtype == np.float64
    assert set(np.unique(fine.inputs)) == {3.0, 12.0}
    for a, u in zip(fine.inputs[:, 0], fine.targets[:, 0], strict=True):
        assert distance(u, direct(a)) < 1e-6
    edges = np.ones((43, 43), bool)
    edges[1:-1, 1:-1] = False
    assert np.abs(fine.targets[:, 0, edges]).max() == 0


def test_darcy_facts(darcy):
    assert darcy.name == "darcy_fno" and darcy.grid.shape == (22, 22) and isinstance(darcy.grid.axis("x"), Uniform)
    facts = darcy.metadata
    assert facts["solve_at"] == 43 and facts["dtype"] == "float64"
    assert 1e-4 < facts["reference_error"] < 0.1  # first order at the jumps of the permeability


def test_one_key_gives_the_same_functions_at_every_resolution(darcy, fine):
    np.testing.assert_array_equal(fine.inputs[:, :, ::2, ::2], darcy.inputs[:3])
    np.testing.assert_allclose(fine.targets[:, :, ::2, ::2], darcy.targets[:3], rtol=1e-9, atol=1e-12)


def test_a_sample_does_not_depend_on_how_many_are_made(darcy):
    one = darcy_fno(1, 22, key=jax.random.key(0), solve_at=43)
    np.testing.assert_array_equal(one.inputs[0], darcy.inputs[0])
    np.testing.assert_allclose(one.targets[0], darcy.targets[0], rtol=1e-9, atol=1e-12)
    other = darcy_fno(1, 22, key=jax.random.key(1), solve_at=43)
    assert not np.array_equal(one.inputs, other.inputs)


def test_single_precision():
    with jax.enable_x64(False):
        data = darcy_fno(2, 29, key=jax.random.key(0), solve_at=29)
    assert data.inputs.dtype == data.targets.dtype == np.float32 and data.metadata["dtype"] == "float32"
    for a, u in zip(data.inputs[:, 0], data.targets[:, 0], strict=True):
        assert distance(u, direct(a.astype(float))) < 1e-5


def test_half_of_the_medium_is_of_each_phase():
    # The sign of a centred field is + with probability 1/2 everywhere; 320 strongly correlated samples.
    media = darcy_fno(320, 22, key=jax.random.key(2), solve_at=43)
    assert abs((media.inputs == 12).mean() - 0.5) < 0.05


def test_generated_data_survive_the_file(darcy, tmp_path):
    again = read_well(write_well(tmp_path / "darcy.hdf5", darcy))
    np.testing.assert_array_equal(again.targets, darcy.targets)
    assert (again.name, again.metadata) == (darcy.name, darcy.metadata)


@pytest.mark.slow
def test_rough_darcy():
    data = darcy_rough(2, 33, key=jax.random.key(0), solve_at=33)
    assert data.name == "darcy_rough" and set(np.unique(data.inputs)) == {3.0, 12.0}
    assert distance(data.targets[0, 0], direct(data.inputs[0, 0])) < 1e-6
    # More interfaces than with the longer waves of darcy_fno.
    smooth = darcy_fno(2, 33, key=jax.random.key(0), solve_at=33)
    assert (np.diff(data.inputs) != 0).sum() > (np.diff(smooth.inputs) != 0).sum()


@pytest.mark.slow
def test_trigonometric_darcy():
    data = darcy_trigonometric(2, 33, key=jax.random.key(0), factors=1, solve_at=33)
    for a, u in zip(data.inputs[:, 0], data.targets[:, 0], strict=True):
        assert distance(u, direct(a)) < 1e-6
        # Along y = 3 x the second factor is one.
        wave = np.arccos(2 * (a[1, 3] - 1)) / (4 * np.pi / 32)
        assert 1 <= wave <= 1.5
        x, y = np.meshgrid(np.linspace(0, 1, 33), np.linspace(0, 1, 33), indexing="ij")
        shape = (1 + np.cos(wave * np.pi * (x + y)) / 2) * (1 + np.sin(wave * np.pi * (y - 3 * x)) / 2)
        np.testing.assert_allclose(a, shape, atol=1e-12)
    assert not np.allclose(data.inputs[0], data.inputs[1])
    with pytest.raises(ValueError, match="one factor or more"):
        darcy_trigonometric(2, 33, key=jax.random.key(0), factors=0)


def pseudo_spectral(u0: np.ndarray, length: float, viscosity: float) -> np.ndarray:
    """Burgers to time one: Fourier in space with a 2/3 truncation, an adaptive eighth-order Runge-Kutta in time."""
    n = len(u0)
    k = 2 * np.pi / length * np.arange(n // 2 + 1)
    keep = np.arange(n // 2 + 1) < n / 3

    def tendency(t, u):
        c = np.fft.rfft(u)
        square = np.fft.rfft(np.fft.irfft(c * keep, n) ** 2) * keep
        return np.fft.irfft(-0.5j * k * square - viscosity * k**2 * c, n)

    return scipy.integrate.solve_ivp(tendency, (0, 1), u0, method="DOP853", rtol=1e-9, atol=1e-11).y[:, -1]


@pytest.mark.parametrize(
    ("definition", "name", "length", "viscosity"),
    [
        (burgers_unit_nu1e_2, "burgers_unit_nu1e-2", 1.0, 0.01),
        (burgers_2pi_nu0_1, "burgers_2pi_nu0.1", 2 * np.pi, 0.1),
        pytest.param(burgers_unit_nu1e_3, "burgers_unit_nu1e-3", 1.0, 0.001, marks=pytest.mark.slow),
    ],
)
def test_burgers_agrees_with_another_integrator(definition, name, length, viscosity):
    n = 256 if viscosity > 1e-3 else 512
    data = definition(2, n, key=jax.random.key(0), solve_at=n)
    assert data.name == name and data.grid.axis("x") == Fourier(n, length=length)
    assert data.metadata["times"] == [0.0, 1.0] and data.metadata["parameters"]["viscosity"] == viscosity
    for u0, u1 in zip(data.inputs[:, 0], data.targets[:, 0], strict=True):
        # The other one truncates a third of the waves, which shocks need.
        assert distance(u1, pseudo_spectral(u0, length, viscosity)) < (1e-6 if viscosity > 1e-3 else 1e-4)
    assert data.metadata["reference_error"] < (1e-6 if viscosity > 1e-3 else 1e-4)


def test_frames_of_burgers_begin_and_end_with_its_pairs():
    frames = burgers_unit_frames(2, 64, key=jax.random.key(0), frames=5, solve_at=256)
    pairs = burgers_unit_nu1e_2(2, 64, key=jax.random.key(0), solve_at=256)
    assert frames.values.shape == (2, 5, 1, 64) and frames.times.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    np.testing.assert_array_equal(frames.values[:, 0], pairs.inputs)
    np.testing.assert_allclose(frames.values[:, -1], pairs.targets, atol=1e-6)
    assert frames.metadata["reference_error"] < 1e-6


def test_generation_reports_and_compiles_once():
    traces, reports = [], []

    def sample(key):
        traces.append(1)
        return jax.random.normal(key, (1, 5)), jax.random.uniform(key, (1, 5))

    x, y = generate(sample, 7, key=jax.random.key(0), chunk=3, progress=lambda *args: reports.append(args))
    assert x.shape == y.shape == (7, 1, 5) and reports == [(3, 7), (6, 7), (7, 7)]
    fewer, _ = generate(sample, 4, key=jax.random.key(0), chunk=3)
    np.testing.assert_array_equal(fewer, x[:4])
    assert len(traces) == 1
    with jax.enable_x64(False):  # known in every thread
        single, _ = generate(sample, 7, key=jax.random.key(0), chunk=3)
    assert single.dtype == np.float32 and x.dtype == np.float64 and len(traces) == 2


def test_a_failing_sample_stops_the_generation():
    def sample(key):
        bad = jax.numpy.any(jax.random.key_data(key) == jax.random.key_data(jax.random.fold_in(jax.random.key(0), 5)))
        value = eqx.error_if(jax.numpy.ones((1, 5)), bad, "sample five is bad")
        return value, value

    reports = []
    with pytest.raises(RuntimeError, match="sample five is bad"):
        generate(sample, 40, key=jax.random.key(0), chunk=2, progress=lambda *args: reports.append(args))
    assert reports == [(2, 40), (4, 40)]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda key: darcy_fno(2, 84, key=key), r"one of 421, 211, 141, 106, 85.*solve_at=84"),
        (lambda key: darcy_fno(0, 85, key=key), "samples must be a whole number >= 1, got 0"),
        (lambda key: burgers_unit_nu1e_2(2, 100, key=key), "one of 1024, 512"),
    ],
)
def test_bad_input(act, words):
    with pytest.raises(ValueError, match=words):
        act(jax.random.key(0))
