from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import weighted_energy
from ..equations import AbstractEquation
from ..fields import GridField
from ..grids import Fourier


def coefficient_squares(r: GridField) -> Array:
    """Sum of the squared coefficients of a field in its basis, `sum_k |r_k|^2`, scalar.

    On `Fourier` axes the mean of `r^2` (Parseval). `Chebyshev` polynomials are not orthogonal in unweighted L2: there
    this weighs the ends of the axis more than `mean_square` does.

    Source: the loss of Du, Chalapathi & Krishnapriyan 2024, Neural spectral methods, section 3.
    """
    if r._flips:
        return jnp.sum(jnp.stack([coefficient_squares(r[i]) for i in range(r.channels)]))
    times = np.ones(())
    for axis, stored in zip(r.grid.axes, r.grid.coefficient_axes(r.is_real), strict=True):
        halved = isinstance(axis, Fourier) and len(stored.modes) != axis.n
        twice = halved & (stored.modes != 0) & (2 * stored.modes != axis.n)
        times = np.multiply.outer(times, np.where(twice, 2.0, 1.0))
    c = r.coefficients
    return jnp.sum(jnp.asarray(times, c.real.dtype)[None] * (c.real**2 + c.imag**2))


class SobolevSquare(eqx.Module):
    """Squared Sobolev norm per volume, `sum_k (shift + |k|^2)^s |r_k|^2`: by Parseval, no transform back.

    For a residual of second order `s = -1` measures the error in the energy that the equation controls, where the sum
    of squares is ruled by the finest scales; a small `shift` weighs the largest ones.

    **Raises** `ValueError` on axes other than `Fourier`, `Sine` and `Cosine`.

    Source: the functional norm of Cao, Brarda, Li & Mao 2025, Spectral-Refiner, with `shift = 10^-1.5`.
    """

    s: float = eqx.field(static=True, converter=float)
    shift: float = eqx.field(static=True, converter=float, default=1.0)

    def __call__(self, r: GridField) -> Array:
        return weighted_energy(r, lambda k: (self.shift + (k**2).sum(axis=0)) ** self.s)


class SpectralResidual(eqx.Module):
    """A loss without labels: the residual of an equation at the prediction, measured in its coefficients.

    `L(u, a) = measure(E(a).residual(u))`, where the second field is the model's input `a`: give `fit` a data set whose
    targets are its inputs (`data.unlabelled`). `equation` makes the equation of an input, as
    `lambda a: Poisson(source=a)` or just `Poisson`, or is an equation that does not depend on it. Conditions at the
    ends and in time are for the basis or the model to keep; derivatives are those of the grid, products as it
    dealiases.

    **Arguments:** `measure` of the residual: `coefficient_squares`, `mean_square` or a `SobolevSquare`.

    **Raises** what the equation raises on the model's output.

    Source: Du, Chalapathi & Krishnapriyan 2024, Neural spectral methods, eq. (9).
    """

    equation: AbstractEquation | Callable[[GridField], AbstractEquation]
    measure: Callable[[GridField], Array] = coefficient_squares

    def __call__(self, prediction: GridField, a: GridField) -> Array:
        equation = self.equation if isinstance(self.equation, AbstractEquation) else self.equation(a)
        return self.measure(equation.residual(prediction))  # type: ignore[arg-type]
