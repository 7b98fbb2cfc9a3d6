import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..calculus import d, inner, laplacian
from ..fields import AbstractField, FunctionField, GridField, sample
from ._base import AbstractEvolution, Example, Showcase, data, manufactured, parameter
from ._initial import box
from ._terms import check_complex, factor, mass, slope, square


class Schroedinger(AbstractEvolution):
    """Schroedinger equation `i u_t = -lap u / 2 + V u` (Schroedinger 1926) in units with hbar = m = 1.

    `potential` V is a real number or field. Grid fields must be complex.
    """

    potential: Array | AbstractField = eqx.field(converter=data, default=0.0)

    def linear(self, u: AbstractField) -> AbstractField:
        check_complex("Schroedinger", u)
        return 0.5j * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -1j * (u * factor(self.potential, u))

    def invariants(self, u: GridField) -> dict[str, Array]:
        return {"mass": square(u), "energy": slope(u) / 2 + potential_energy(u, self.potential)}

    @classmethod
    def example(cls) -> Example:
        """Two states of the lattice `V = sin(x)^2 / 8 - cos(x) / 2`, of energies -1/8 and 3/8, beating against one
        another: `exp(cos(x) / 2) (cos(x / 2) exp(i t / 8) + sin(x / 2) exp(-3 i t / 8))`.
        """

        def solution(t, x):
            envelope = jnp.exp(jnp.cos(x) / 2)
            even, odd = envelope * jnp.cos(x / 2), envelope * jnp.sin(x / 2)
            re = even * jnp.cos(t / 8) + odd * jnp.cos(3 * t / 8)
            return jax.lax.complex(re, even * jnp.sin(t / 8) - odd * jnp.sin(3 * t / 8))

        lattice = FunctionField.from_function(lambda x: jnp.sin(x) ** 2 / 8 - jnp.cos(x) / 2, ("x",))
        return Example(
            cls(lattice), FunctionField.from_function(solution, ("t", "x")), {"x": (0.0, 4 * np.pi)}, nodes=48
        )

    @classmethod
    def showcase(cls) -> Showcase:
        """A wave packet meets a barrier as high as its energy: one part is reflected, the other tunnels through."""
        grid = box(512, 60.0, start=-30.0)

        def packet(x):
            envelope = jnp.exp(-(((x + 12) / 3) ** 2) / 2)
            return jax.lax.complex(envelope * jnp.cos(3 * x), envelope * jnp.sin(3 * x))

        barrier = FunctionField.from_function(lambda x: 4.5 * jnp.exp(-((x / 0.6) ** 2)), ("x",))
        return Showcase(cls(sample(barrier, grid)), GridField.from_function(packet, grid), t1=8.0, dt=0.01)


class NonlinearSchroedinger(AbstractEvolution):
    """Nonlinear Schroedinger equation `i u_t + a lap u + b |u|^2 u = 0` (Zakharov & Shabat 1972).

    `dispersion` a and `nonlinearity` b; the product of both is positive in the focusing case. Grid fields must be
    complex.
    """

    dispersion: Array = eqx.field(converter=parameter, default=0.5)
    nonlinearity: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        check_complex("NonlinearSchroedinger", u)
        return 1j * (self.dispersion * laplacian(u))

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return 1j * (self.nonlinearity * (u * u * u.conj()))

    def invariants(self, u: GridField) -> dict[str, Array]:
        momenta = {f"momentum_{name}": jnp.sum(inner(u, d(u, name))).imag for name in u.space_names}
        energy = self.dispersion * slope(u) - self.nonlinearity * square(density(u)) / 2
        return {"mass": square(u), **momenta, "energy": energy}

    @classmethod
    def example(cls) -> Example:
        """A breather that grows out of a modulated plane wave, periodic in space (Akhmediev, Eleonskii & Kulagin
        1987).
        """
        # Modulation of wave number 1 has growth rate sqrt(3) / 2; t = 2 is the peak.
        rate, ratio = np.sqrt(3) / 2, np.sqrt(3) / 2

        def solution(t, x):
            s = t - 2.0
            depth = ratio * jnp.cos(x) - jnp.cosh(rate * s)
            re, im = 1 + jnp.cosh(rate * s) / 2 / depth, rate * jnp.sinh(rate * s) / depth
            return jax.lax.complex(re * jnp.cos(s) - im * jnp.sin(s), re * jnp.sin(s) + im * jnp.cos(s))

        return Example(cls(), FunctionField.from_function(solution, ("t", "x")), {"x": (0.0, 2 * np.pi)}, nodes=64)

    @classmethod
    def showcase(cls) -> Showcase:
        """Two solitons bound in a breather, `u(0) = 2 sech x`."""
        u0 = GridField.from_function(lambda x: jax.lax.complex(2 / jnp.cosh(x), 0 * x), box(256, 10.0, start=-5.0))
        return Showcase(cls(), u0, t1=np.pi / 2, dt=np.pi / 2000)


class GrossPitaevskii(AbstractEvolution):
    """Gross-Pitaevskii equation `i u_t = -lap u / 2 + V u + g |u|^2 u` of a condensate (Gross 1961; Pitaevskii 1961).

    `potential` V of the trap, a real number or field, and `interaction` g, repulsive if positive. Grid fields must be
    complex.
    """

    potential: Array | AbstractField = eqx.field(converter=data, default=0.0)
    interaction: Array = eqx.field(converter=parameter, default=1.0)

    def linear(self, u: AbstractField) -> AbstractField:
        check_complex("GrossPitaevskii", u)
        return 0.5j * laplacian(u)

    def nonlinear(self, u: AbstractField, t) -> AbstractField:
        return -1j * (u * factor(self.potential, u) + self.interaction * (u * u * u.conj()))

    def invariants(self, u: GridField) -> dict[str, Array]:
        energy = slope(u) / 2 + potential_energy(u, self.potential) + self.interaction * square(density(u)) / 2
        return {"mass": square(u), "energy": energy}

    @classmethod
    def example(cls) -> Example:
        """The manufactured wave `(1 + cos(x - t) / 2) exp(i (x - t))` in the lattice `V = cos x`."""

        def solution(t, x):
            envelope = 1 + 0.5 * jnp.cos(x - t)
            return jax.lax.complex(envelope * jnp.cos(x - t), envelope * jnp.sin(x - t))

        lattice = FunctionField.from_function(jnp.cos, ("x",))
        field = FunctionField.from_function(solution, ("t", "x"))
        return manufactured(cls(lattice), field, {"x": (0.0, 2 * np.pi)})

    @classmethod
    def showcase(cls) -> Showcase:
        """Two condensates meet in a trap, harmonic around its centre, and interfere."""
        grid = box(64, 16.0, "xy", start=-8.0)
        lump = lambda x, y: jnp.exp(-(x**2 + y**2) / 2)
        pair = lambda x, y: jax.lax.complex(2 * (lump(x - 3, y) + lump(x + 3, y)), 0 * x)
        k = 2 * np.pi / 16
        trap = GridField.from_function(lambda x, y: (2 - jnp.cos(k * x) - jnp.cos(k * y)) / k**2, grid)
        return Showcase(cls(trap, 2.0), GridField.from_function(pair, grid), t1=1.6, dt=4e-3)


def density(u: GridField) -> GridField:
    """`|u|^2` as a real field."""
    return (u * u.conj()).real


def potential_energy(u: GridField, potential: Array | AbstractField) -> Array:
    """`int V |u|^2 dx`."""
    rho = density(u)
    return mass(rho * factor(potential, rho))
