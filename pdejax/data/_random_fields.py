import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ..grids import AbstractAxis, Cosine, Fourier, Grid, Sine


class GaussianRandomField(eqx.Module):
    """Gaussian random field `u ~ N(mean, sigma^2 (-Laplacian + tau^2)^(-gamma))` with the zero mode removed.

    `u = mean + sum_k sigma (|kappa_k|^2 + tau^2)^(-gamma / 2) xi_k phi_k`, `xi_k ~ N(0, 1)` independent, where
    `phi_k` are the L2-orthonormal eigenfunctions of the Laplacian that the axes of the grid carry (`kappa = 2 pi k /
    length` on `Fourier`, `pi k / length` on `Sine` and `Cosine`), in any mix and any dimension. All modes of the grid
    take part.

    The three forms in common use are the same sum (Li et al., Fourier Neural Operator, 2021, and its published
    samplers): periodic, Neumann and Dirichlet fields in one dimension on `Fourier`, `Cosine` and `Sine`; the periodic
    field of the Navier-Stokes data on `Fourier` axes; the Neumann field of the Darcy data on `Cosine(n,
    centred=True)` axes. The sampler of the Navier-Stokes data takes the real part of an unsymmetrised complex field;
    its variance `sum_k sigma^2 (|kappa_k|^2 + tau^2)^(-gamma)` over all two-sided modes is the one here.

    **Arguments:** `gamma` the decay (`alpha` in the samplers of dimension two and three); `tau` the inverse length;
    `sigma` the amplitude, by default `tau^(gamma - d / 2)` in `d` space dimensions as in those samplers; `mean`.

    **Raises** `ValueError` for a negative `tau` or `sigma`.
    """

    gamma: float = eqx.field(static=True, converter=float)
    tau: float = eqx.field(static=True, converter=float)
    sigma: float | None = eqx.field(static=True, default=None)
    mean: float = eqx.field(static=True, converter=float, default=0.0)

    def __check_init__(self):
        if self.tau < 0 or (self.sigma is not None and self.sigma < 0):
            raise ValueError(
                f"a Gaussian random field needs tau >= 0 and sigma >= 0, got tau={self.tau}, sigma={self.sigma}; "
                "write GaussianRandomField(gamma=2, tau=3)."
            )

    def sample(self, grid: Grid, *, key: Array) -> GridField:
        """One field of one channel on the grid, held by its coefficients, in the default float dtype.

        A key gives other draws in float64 than in float32, and on grids of other sizes.

        Batches: `jax.vmap(lambda key: field.sample(grid, key=key))(jax.random.split(key, n))`. The same function on a
        finer grid: `field.sample(grid, key=key).resample(finer)`.

        **Raises** `ValueError` for axes other than `Fourier`, `Sine`, `Cosine`, or a mean on a sine axis.
        """
        dtype = jnp.result_type(float)
        scale = self._amplitude(grid)
        c = jax.random.normal(key, scale.shape, dtype) * jnp.asarray(scale, dtype)
        last = max((i for i, axis in enumerate(grid.axes) if isinstance(axis, Fourier)), default=None)
        for i, axis in enumerate(grid.axes):
            if isinstance(axis, Fourier):
                c = _exponential(c, i)
        if last is not None:
            c = c[(slice(None),) * last + (slice(0, grid.axes[last].n // 2 + 1),)]
        if self.mean != 0:
            c = c.at[(0,) * c.ndim].add(jnp.asarray(self.mean, dtype).astype(c.dtype))
        return GridField.from_coefficients(c[None], grid)

    def _amplitude(self, grid: Grid) -> np.ndarray:
        """Standard deviation of the coefficient of each real basis function, float64, shape `grid.shape`."""
        square, scale = np.zeros(()), np.ones(())
        for name, axis in zip(grid.names, grid.axes, strict=True):
            kappa, norm = _spectrum(name, axis, self.mean)
            square, scale = np.add.outer(square, kappa**2), np.multiply.outer(scale, norm)
        sigma = self.sigma if self.sigma is not None else self.tau ** (self.gamma - len(grid.axes) / 2)
        eigenvalue = np.where(square > 0, square + self.tau**2, np.inf)
        return sigma * scale * eigenvalue ** (-self.gamma / 2)


def _spectrum(name: str, axis: AbstractAxis, mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Wave number and normalising factor of the real basis functions of an axis, both of shape `(n,)`."""
    k = axis.modes
    if isinstance(axis, Fourier):
        # The real orthonormal basis is cas(kappa x) / sqrt(length), cas = cos + sin, over both signs of k.
        return 2 * np.pi / axis.length * k, np.full(axis.n, axis.length**-0.5)
    if isinstance(axis, Cosine):
        return np.pi / axis.length * k, np.where(k == 0, 1.0, np.sqrt(2)) / np.sqrt(axis.length)
    if isinstance(axis, Sine):
        if mean != 0:
            raise ValueError(
                f"a field on the sine axis {name!r} vanishes at its ends and cannot have the mean {mean}; write "
                "mean=0, or use a Cosine axis."
            )
        # On closed nodes the functions k = 0 and k = n - 1 vanish.
        present = np.ones(axis.n) if axis.centred else (k > 0) & (k < axis.n - 1)
        return np.pi / axis.length * k, present * np.sqrt(2 / axis.length)
    raise ValueError(
        f"a Gaussian random field needs Fourier, Sine or Cosine axes, axis {name!r} is {type(axis).__name__}; sample "
        f"on Cosine({axis.n}) and write field.on(grid) to read the values on the same nodes."
    )


def _exponential(c: Array, axis: int) -> Array:
    """Coefficients of cas(kappa x) to those of exp(i kappa x), both in FFT order along `axis`."""
    mirrored = jnp.roll(jnp.flip(c, axis), 1, axis)
    even, odd = (c + mirrored) * 0.5, (c - mirrored) * 0.5
    if not jnp.iscomplexobj(c):
        return jax.lax.complex(even, -odd)
    # -i (a + i b) = b - i a
    return even + jax.lax.complex(odd.imag, -odd.real)
