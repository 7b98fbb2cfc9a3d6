import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ._states import States


class AbstractFlux(eqx.Module):
    """One flux for a face from the states at its left and right."""

    @abc.abstractmethod
    def __call__(self, faces: States, left: Array, right: Array) -> Array:
        """The numerical flux, `(channels, *faces)`; `f(q)` where both states are `q`."""


class Rusanov(AbstractFlux):
    """Mean flux and the fastest wave's diffusion (Rusanov 1961): the simplest, for any law."""

    def __call__(self, faces: States, left: Array, right: Array) -> Array:
        speeds = (*faces.speeds(left), *faces.speeds(right))
        fastest = jnp.max(jnp.abs(jnp.concatenate(speeds)), axis=0, keepdims=True)
        return (faces.flux(left) + faces.flux(right)) / 2 - fastest / 2 * (right - left)


class HLL(AbstractFlux):
    """One mean state between the slowest and the fastest wave (Harten, Lax & van Leer 1983), for any law.

    Speeds are bounded by those of the two states (Davis 1988), which keeps positive means positive.
    """

    def __call__(self, faces: States, left: Array, right: Array) -> Array:
        slowest, fastest = _fan(faces, left, right)
        slow, fast = jnp.minimum(slowest, 0), jnp.maximum(fastest, 0)
        # Two states at rest have an empty fan, where any weight will do.
        open_ = fast > slow
        width = fast - slow
        weight = jnp.where(open_, fast / jnp.where(open_, width, 1), 0.5)
        mean = weight * faces.flux(left) + (1 - weight) * faces.flux(right)
        return mean - weight * (1 - weight) * width * (right - left)


class HLLC(AbstractFlux):
    """HLL with the contact wave restored (Toro, Spruce & Speares 1994), for laws that give `contact`: steady contacts
    stay sharp.

    **Raises** `TypeError` for other laws.
    """

    def __call__(self, faces: States, left: Array, right: Array) -> Array:
        slowest, fastest = _fan(faces, left, right)
        contact = faces.law.contact(*map(faces.field, (left, right, slowest, fastest)), faces.axis)
        speed, star_left, star_right = (u.values for u in contact)  # type: ignore[attr-defined]
        from_left = faces.flux(left) + jnp.minimum(slowest, 0) * (star_left - left)
        from_right = faces.flux(right) + jnp.maximum(fastest, 0) * (star_right - right)
        return jnp.where(speed >= 0, from_left, from_right)


class Roe(AbstractFlux):
    """Every wave of the linearised law upwind (Roe 1981), for laws that give `waves`: sharp, and not proof against
    vacuum.

    The slowest and the fastest wave are kept from turning into an expansion shock (Harten & Hyman 1983).

    **Raises** `TypeError` for other laws.
    """

    def __call__(self, faces: States, left: Array, right: Array) -> Array:
        waves = faces.law.waves(faces.field(left), faces.field(right), faces.axis)
        at_left, at_right = faces.speeds(left), faces.speeds(right)
        mean = (faces.flux(left) + faces.flux(right)) / 2
        for i, (speed, jump) in enumerate(waves):
            size = jnp.abs(speed.values)  # type: ignore[attr-defined]
            if i in (0, len(waves) - 1):
                end = 0 if i == 0 else 1
                size = _opened(speed.values, at_left[end], at_right[end])  # type: ignore[attr-defined]
            mean = mean - size / 2 * jump.values  # type: ignore[attr-defined]
        return mean


def _fan(faces: States, left: Array, right: Array) -> tuple[Array, Array]:
    (a, b), (c, d) = faces.speeds(left), faces.speeds(right)
    return jnp.minimum(a, c), jnp.maximum(b, d)


def _opened(speed: Array, left: Array, right: Array) -> Array:
    # Half the width of the fan between the two states is the least that |speed| may count for.
    spread = jnp.maximum(jnp.maximum(speed - left, right - speed), 0)
    inside = jnp.abs(speed) < spread
    return jnp.where(inside, (speed**2 / jnp.where(inside, spread, 1) + spread) / 2, jnp.abs(speed))
