import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...grids import scale
from .._method import Options
from .._problem import EvolutionProblem
from ._march import March, Scheme
from ._stepper import AbstractNodalStepper
from ._system import NodalSystem


class Symplectic(AbstractNodalStepper):
    """Symplectic stepping of `q_t = G(p), p_t = F(q)`: the first half of the channels is q, the second p.

    `order=2` is the method of Stoermer and Verlet; 4, 6 and 8 compose it symmetrically (Yoshida 1990, eqs. (2.12) and
    (4.11), and the triple jump for 8). The energy does not drift, it oscillates with an amplitude of the order of the
    method. Explicit: `dt` times the highest frequency must stay below 2 (1.57 for order 4).

    **Raises** `ValueError` for an odd number of channels, or a right-hand side in which q depends on q or p on p.
    """

    order: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        if self.order not in (2, 4, 6, 8):
            raise ValueError(f"Symplectic has the orders 2, 4, 6 and 8, got order={self.order!r}; write order=4.")

    def prepare(self, problem: EvolutionProblem, options: Options) -> March:
        steps = AbstractNodalStepper.prepare(self, problem, options)
        if problem.u0.channels % 2:
            raise ValueError(
                f"a symplectic stepper needs channels (q, p) in equal number, got {problem.u0.channels}; write the "
                "wave equation as u_t = v, v_t = F(u)."
            )
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(problem)):
            if float(_coupling(self.system(problem))) > 1e-6:
                raise ValueError(
                    f"{type(problem.equation).__name__} is not of the form q_t = G(p), p_t = F(q) (a damping term, or "
                    "a velocity that depends on the displacement); write solvers.ETDRK4(dt) or solvers.RK4(dt)."
                )
        return steps

    def scheme(self, system: NodalSystem, dt: float) -> Scheme:
        half = system.problem.u0.channels // 2
        weights = compositions(self.order)

        def kick(v: Array, t: Array, h: float) -> Array:
            return v.at[half:].add(scale(system.rate(v, t)[half:], jnp.asarray(h, t.dtype)))

        def drift(v: Array, t: Array, h: float) -> Array:
            return v.at[:half].add(scale(system.rate(v, t)[:half], jnp.asarray(h, t.dtype)))

        def step(v: Array, t: Array, i: Array) -> Array:
            # Kicks of neighbouring substeps are joined.
            ends = [0.0, *weights, 0.0]
            for a, b in zip(ends[:-1], ends[1:], strict=True):
                v = kick(v, t, dt * (a + b) / 2)
                if b:
                    v = drift(v, t, dt * b)
                    t = t + jnp.asarray(dt * b, t.dtype)
            return v

        return Scheme(system.start(), step, system.field)


def compositions(order: int) -> tuple[float, ...]:
    """Substeps of the symmetric composition of second-order steps; they sum to one."""
    if order == 2:
        return (1.0,)
    if order == 6:
        # Yoshida 1990, table 1, solution A.
        w = (-1.17767998417887, 0.235573213359357, 0.784513610477560)
        return (*reversed(w), 1 - 2 * sum(w), *w)
    # Triple jump: each takes a method of order p to p + 2 (Yoshida 1990, eq. (4.4)).
    inner = compositions(order - 2)
    x = 1 / (2 - 2 ** (1 / (order - 1)))
    return tuple(w * f for f in (x, 1 - 2 * x, x) for w in inner)


@eqx.filter_jit
def _coupling(system: NodalSystem) -> Array:
    """How much the rate of q depends on q and that of p on p, relative to the whole."""
    v0 = system.start()
    half, t0 = system.problem.u0.channels // 2, jnp.asarray(system.problem.t0, v0.real.dtype)
    values = np.cos(np.arange(np.prod(system.problem.u0.grid.shape) * 2 * half) ** 2.0)
    v = system.problem.u0.with_values(
        jnp.asarray(values.reshape(2 * half, *system.problem.u0.grid.shape), v0.real.dtype)
    )
    v = v.as_coefficients().data.astype(v0.dtype)
    push = jax.linearize(lambda w: system.rate(w, t0), v0)[1]
    q, p = push(v.at[half:].set(0)), push(v.at[:half].set(0))
    size = lambda x: jnp.max(jnp.abs(x))
    return jnp.maximum(size(q[:half]) / size(q), size(p[half:]) / size(p))
