import equinox as eqx
from jaxtyping import Array

from ._exponential import ETDRK4
from ._linear_part import AbstractLinearPart, AbstractOperator
from ._march import Scheme
from ._multistep import multistep
from ._phi import adams_weights
from ._stepper import AbstractModalStepper
from ._system import ModalSystem


class ExponentialAdamsBashforth(AbstractModalStepper):
    """Exponential multistep method: `exp(z) v + dt sum_j g_j(z) N_{n-j}`, one evaluation of `N` a step.

    The nonlinear part is extrapolated through its last `order` values and integrated exactly against the linear flow
    (Norsett 1969; Hochbruck & Ostermann 2010, section 2.5). The first steps are `ETDRK4`.

    **Raises** `ValueError` for orders other than 1 to 5.
    """

    order: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        if self.order not in (1, 2, 3, 4, 5):
            raise ValueError(
                f"ExponentialAdamsBashforth has orders 1 to 5, got order={self.order!r}; write order=4 "
                "(the starting steps limit it)."
            )

    def tables(self, linear: AbstractLinearPart, dt: float) -> dict[str, dict[str, AbstractOperator]]:
        entries = {f"g{j}": tuple((w * dt, k, c) for w, k, c in g) for j, g in enumerate(adams_weights(self.order))}
        own = linear.exponentials(dt, {"exp": ((1.0, 0, 1.0),), **entries})
        return {"own": own, "first": self._starter().tables(linear, dt)}

    def scheme(self, system: ModalSystem, tables: dict[str, dict[str, AbstractOperator]], dt: float) -> Scheme:
        own = tables["own"]

        def step(v: Array, past: tuple[Array, ...]) -> Array:
            out = own["exp"](v)
            for j, rate in enumerate(past):
                out = out + own[f"g{j}"](rate)
            return out

        first = self._starter().scheme(system, tables["first"], dt).step
        return multistep(system.start(), system.nonlinear(), first, step, self.order, system.field)

    def _starter(self) -> ETDRK4:
        return ETDRK4(self.dt, self.dealias)
