import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import integrate, inverse_laplacian, laplacian
from ..fields import AbstractField, FunctionField, GridField
from ._base import AbstractEvolution, Example, Showcase, check_positive, data, parameter
from ._convection import vorticity_convection
from ._initial import box


def source(value):
    """`data(value)`, and `None` for the number zero, so that nothing is computed for it."""
    return None if isinstance(value, int | float) and value == 0 else data(value)


def forced(rate: AbstractField, force, t) -> AbstractField:
    """`rate + force`; `force` is what `source` made, a function of `"t"` being taken at the time `t`."""
    if force is None:
        return rate
    if isinstance(force, FunctionField) and "t" in force.names and "t" not in rate.names:
        force = force.at(t=t)
    return rate + force


class NavierStokesVorticity(AbstractEvolution):
    """Incompressible flow in the plane by its vorticity: `w_t + v . grad w = nu lap w - lambda w + f`, `v = curl psi`,
    `-lap psi = w`.

    `viscosity` nu > 0, linear `drag` lambda (per time) and `forcing` f, the curl of the force: a number, a field of
    space, or a function field that may depend on `"t"` too; zero costs nothing. With `curl psi = (psi_y, -psi_x)` the
    vorticity is `w = dv_y/dx - dv_x/dy`. Grid fields invert the Laplacian (the mean vorticity of a periodic box plays
    no part); a function field must be given as `w = -laplacian(psi)`, from which the stream function is read off.

    **Raises** `ValueError` unless there are two space axes.
    """

    viscosity: Array = eqx.field(converter=parameter, default=1e-3)
    drag: Array = eqx.field(converter=parameter, default=0.0)
    forcing: Array | AbstractField | None = eqx.field(converter=source, default=0.0)

    def __check_init__(self):
        check_positive("NavierStokesVorticity", "viscosity", self.viscosity)

    def linear(self, u: AbstractField) -> AbstractField:
        return self.viscosity * laplacian(u) - self.drag * u

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return forced(-vorticity_convection(-inverse_laplacian(u)), self.forcing, t)

    def invariants(self, u: GridField) -> dict[str, Array]:
        """The circulation `int w`, unless drag or a forcing with a mean change it."""
        return {"circulation": integrate(u)[0]}

    @classmethod
    def example(cls) -> Example:
        """Taylor-Green vortices on a uniform stream-function scale, `psi = exp(-2 nu t) cos x cos y`
        (Taylor & Green 1937).
        """
        nu = 0.05
        psi = FunctionField.from_function(
            lambda t, x, y: jnp.exp(-2 * nu * t) * jnp.cos(x) * jnp.cos(y), ("t", "x", "y")
        )
        domain = {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)}
        return Example(cls(viscosity=nu), -laplacian(psi), domain, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """Decaying turbulence: eddies of like sign merge into ever larger vortices (McWilliams 1984)."""
        return Showcase(cls(viscosity=1e-3), 4.0 * eddies(128), t1=10.0, dt=0.01)


class KolmogorovFlow(AbstractEvolution):
    """Flow in the plane stirred by a sinusoidal force along the first axis, by its vorticity:
    `w_t + v . grad w = nu lap w - lambda w - k A cos(k y)`, `v = curl psi`, `-lap psi = w`.

    `viscosity` nu > 0, `drag` lambda (per time), and the force `A sin(k y)` with `amplitude` A and integer `wavenumber`
    k on an axis of length 2 pi (Meshalkin & Sinai 1961). A function field must be given as `w = -laplacian(psi)`.

    **Raises** `ValueError` unless there are two space axes.
    """

    viscosity: Array = eqx.field(converter=parameter, default=1e-3)
    drag: Array = eqx.field(converter=parameter, default=0.1)
    amplitude: Array = eqx.field(converter=parameter, default=1.0)
    wavenumber: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        check_positive("KolmogorovFlow", "viscosity", self.viscosity)

    def linear(self, u: AbstractField) -> AbstractField:
        return NavierStokesVorticity(self.viscosity, self.drag).linear(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        k = self.wavenumber
        wave = FunctionField.from_function(lambda y: jnp.cos(k * y), u.space_names[-1:])
        return NavierStokesVorticity(self.viscosity, forcing=wave * (-k * self.amplitude)).nonlinear(u, t)

    def invariants(self, u: GridField) -> dict[str, Array]:
        """The circulation `int w`, which is zero in a periodic box."""
        return {"circulation": integrate(u)[0]}

    @classmethod
    def example(cls) -> Example:
        """Approach to the laminar flow from rest, `psi = -A (1 - exp(-s t)) cos(k y) / (k s)` with
        `s = nu k^2 + lambda`, and a decaying wave `exp(-s t) cos(k x)` across it, whose interaction with it cancels.
        """
        nu, drag, amplitude, k = 0.05, 0.1, 0.6, 2
        s = nu * k**2 + drag

        def stream(t, x, y):
            decay = jnp.exp(-s * t)
            return -amplitude / (k * s) * (1 - decay) * jnp.cos(k * y) + decay * jnp.cos(k * x)

        psi = FunctionField.from_function(stream, ("t", "x", "y"))
        domain = {"x": (0.0, 2 * jnp.pi), "y": (0.0, 2 * jnp.pi)}
        return Example(cls(nu, drag, amplitude, k), -laplacian(psi), domain, nodes=16)

    @classmethod
    def showcase(cls) -> Showcase:
        """Turbulence driven at wave number 4 and held by drag, the setting of Kochkov et al. 2021 at a lower Reynolds
        number.
        """
        return Showcase(cls(viscosity=4e-3), 2.0 * eddies(96), t1=15.0, dt=0.01)


def eddies(n: int, lowest: int = 4, highest: int = 8) -> GridField:
    """Random waves in the plane with wave numbers in a band, of root mean square one, on the square of side 2 pi."""
    k = np.fft.fftfreq(n, 1 / n)
    radius = np.hypot(k[:, None], k[None])
    noise = np.fft.fft2(np.random.default_rng(0).standard_normal((n, n)))
    waves = np.fft.ifft2(np.where((radius >= lowest) & (radius <= highest), noise, 0)).real
    return GridField(jnp.asarray(waves / waves.std(), jnp.result_type(float))[None], box(n, 2 * jnp.pi, "xy"))
