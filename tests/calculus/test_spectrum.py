"""Energy spectra against NumPy and single waves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import energy_spectrum, grad, weighted_energy

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("sizes", ((9,), (8, 12), (6, 7, 8)))
def test_spectrum_against_numpy(sizes):
    """Shells of rounded wave number from the full transform; the sum is half the mean square."""
    grid = pj.Grid(**{name: pj.Fourier(n, length=2.0) for name, n in zip("xyz", sizes, strict=False)})
    values = RNG.normal(size=(2, *sizes))
    power = (np.abs(np.fft.fftn(values, axes=range(1, 1 + len(sizes)), norm="forward")) ** 2).sum(axis=0) / 2
    k = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in sizes), indexing="ij")
    shell = np.rint(np.sqrt(sum(m**2 for m in k))).astype(int)
    numbers, energies = jax.jit(energy_spectrum)(pj.GridField(values, grid))
    expected = np.bincount(shell.ravel(), power.ravel(), minlength=len(energies))
    np.testing.assert_allclose(energies, expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(jnp.sum(energies), np.mean(values**2), rtol=1e-12)
    np.testing.assert_allclose(numbers, np.pi * np.arange(len(energies)))


@pytest.mark.parametrize("axis", (pj.Fourier(16), pj.Cosine(17), pj.Uniform(17, length=2 * np.pi)))
def test_one_wave_fills_one_shell(axis):
    """`cos 3x` on any basis of one period, its energy a quarter; the shell of unequal lengths is that of |k|."""
    grid = pj.Grid(x=axis.__class__(axis.n, 2 * np.pi), y=pj.Fourier(10, length=np.pi))
    u = pj.GridField.from_function(lambda x, y: jnp.cos(3 * x) * jnp.sin(4 * y), grid)
    _, energies = energy_spectrum(u)
    assert int(jnp.argmax(energies)) == 5
    np.testing.assert_allclose([energies[5], jnp.sum(energies)], 0.125, rtol=1e-10)
    np.testing.assert_allclose(weighted_energy(u, lambda k: (k**2).sum(axis=0)), 25 / 4, rtol=1e-10)


def test_channels_of_unequal_parity_count():
    grid = pj.Grid(x=pj.Sine(9, length=np.pi), y=pj.Sine(9, length=np.pi))
    slope = grad(pj.GridField.from_function(lambda x, y: jnp.sin(2 * x) * jnp.sin(y), grid))
    _, energies = energy_spectrum(slope)
    np.testing.assert_allclose(jnp.sum(energies), 5 / 8, rtol=1e-12)


def test_no_waves_on_chebyshev_axes():
    with pytest.raises(ValueError, match="Chebyshev"):
        energy_spectrum(pj.GridField(jnp.ones((1, 8)), pj.Grid(x=pj.Chebyshev(8))))
