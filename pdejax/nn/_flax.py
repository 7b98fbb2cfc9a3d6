import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import linen, nnx
from flax.errors import FlaxError
from jaxtyping import Array, PRNGKeyArray

from ..fields import GridField
from ._checks import check_channels, check_counts, check_ndim
from ._coordinates import envelope


class FromLinen(eqx.Module):
    """A `flax.linen` module as an operator on fields: `u = s F(s a)`, with the envelope `s` of `nn.envelope`.

    `F` sees the values with the channels last and a batch axis of one, `(1, *n, channels)`; several fields go in with
    their channels joined, so that it serves as the body `(z, x) -> z` of an implicit layer. Its parameters are leaves
    like any others, so it is trained, saved and wrapped like any operator; trained ones are put in by
    `eqx.tree_at(lambda m: m.parameters, model, variables["params"])`. They are cast to the dtype of the field. What it
    answers on another grid, and beyond a boundary, is the business of `F`: padding by zero or by wrapping around suits
    one kind of axis only.

    **Arguments:** `in_channels`, of all fields together; `shape`, the nodes of a grid on which `F` is initialised.

    **Shapes:** fields `(channels, *n)`, together `(in_channels, *n)`, to a field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, for a module that cannot be initialised on `shape`,
    that has more than parameters (running statistics, random streams), or that changes the number of nodes.
    """

    parameters: dict[str, Any]
    module: linen.Module = eqx.field(static=True)
    in_channels: int = eqx.field(static=True)
    ndim: int = eqx.field(static=True)

    def __init__(self, module: linen.Module, in_channels: int, shape: tuple[int, ...], *, key: PRNGKeyArray):
        check_counts("FromLinen", in_channels=in_channels)
        self.in_channels, self.ndim = in_channels, len(shape)
        # A config writes lists, which flax cannot hash.
        lists = {name: _frozen(value) for name, value in vars(module).items() if isinstance(value, list)}
        self.module = module.clone(**lists)
        v = jnp.zeros((1, *shape, in_channels), jnp.float32)
        try:
            with jax.numpy_dtype_promotion("standard"):
                variables: Any = self.module.init(key, v)
                _refuse_state(type(module), [name for name in variables if name != "params"])
                # What needs random numbers is initialised without complaint.
                jax.eval_shape(self.module.apply, variables, v)
        except FlaxError as error:
            raise ValueError(f"{type(module).__name__} does not take values of shape {v.shape}: {error}") from error
        self.parameters = variables.get("params", {})

    def __call__(self, *fields: GridField) -> GridField:
        check_ndim("FromLinen", self.ndim, fields[0].grid)
        check_channels("FromLinen", self.in_channels, _joined(fields))
        return _applied(lambda parameters, v: self.module.apply({"params": parameters}, v), self.parameters, fields)


class FromNNX(eqx.Module):
    """A `flax.nnx` module as an operator on fields: `u = s F(s a)`, as for `FromLinen`.

    Its parameters are a nested dictionary of arrays; trained ones are put in by
    `eqx.tree_at(lambda m: m.parameters, model, nnx.to_pure_dict(nnx.state(module, nnx.Param)))`.

    **Arguments:** `make`, what builds the module if it is called with `rngs`: its class, or a `functools.partial` of
    it that holds the other arguments (in a config `_partial_: true`).

    **Shapes:** fields `(channels, *n)`, joined, to a field `(out_channels, *n)`.

    **Raises** `TypeError` if `make` builds no nnx module; `ValueError` for a module that has more than parameters
    (running statistics, random streams), or that changes the number of nodes.
    """

    parameters: dict[Any, Any]
    # What makes the module and not its graph: it is compared by value and can be written to a file.
    module: Callable[..., nnx.Module] = eqx.field(static=True)
    args: tuple = eqx.field(static=True)
    keywords: tuple[tuple[str, Any], ...] = eqx.field(static=True)

    def __init__(self, make: Callable[..., nnx.Module], *, key: PRNGKeyArray):
        parts: Any = make if isinstance(make, functools.partial) else functools.partial(make)
        self.module, self.args = parts.func, _frozen(parts.args)
        self.keywords = tuple((name, _frozen(value)) for name, value in sorted(parts.keywords.items()))
        if not (isinstance(self.module, type) and issubclass(self.module, nnx.Module)):
            raise TypeError(
                f"FromNNX needs a class of flax.nnx modules, got {self.module!r}; write FromNNX(UNet, key=key), or "
                "FromNNX(functools.partial(UNet, width=16), key=key)."
            )
        _, parameters, rest = nnx.split(self._made(key), nnx.Param, ...)
        _refuse_state(self.module, [".".join(map(str, path)) for path, _ in nnx.to_flat_state(rest)])
        self.parameters = nnx.to_pure_dict(parameters)

    def __call__(self, *fields: GridField) -> GridField:
        def apply(parameters, v):
            graph, state = nnx.split(nnx.eval_shape(lambda: self._made(jax.random.key(0))))
            nnx.replace_by_pure_dict(state, parameters)
            return nnx.merge(graph, state)(v)

        return _applied(apply, self.parameters, fields)

    def _made(self, key: PRNGKeyArray) -> nnx.Module:
        return self.module(*self.args, **dict(self.keywords), rngs=nnx.Rngs(key))


def _applied(apply: Callable[[Any, Array], Any], parameters: Any, fields: tuple[GridField, ...]) -> GridField:
    a = fields[0]
    s, joined = jnp.asarray(envelope(a.grid), a.dtype), _joined(fields)
    parameters = jax.tree.map(lambda leaf: leaf.astype(a.dtype), parameters)
    # Flax promotes dtypes on purpose, which strict promotion, if the caller asked for it, refuses.
    with jax.numpy_dtype_promotion("standard"):
        out = apply(parameters, jnp.moveaxis(s * joined.values, 0, -1)[None])
    if out.shape[:-1] != (1, *a.grid.shape):
        raise ValueError(
            f"the flax module made values of shape {out.shape} from a field on {a.grid}, whose nodes it must keep: "
            f"write padding='SAME' or 'CIRCULAR', and choose a grid whose sizes its strides divide."
        )
    return a.with_values(s * jnp.moveaxis(out[0], -1, 0).astype(a.dtype))


def _joined(fields: tuple[GridField, ...]) -> GridField:
    first, *others = fields
    return first.join(others) if others else first


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _refuse_state(module: type, names: list[str]) -> None:
    if names:
        raise ValueError(
            f"{module.__name__} has more than parameters, {', '.join(names)}, and a field operator keeps no state: "
            "write GroupNorm or LayerNorm for BatchNorm, leave Dropout out, and let it store no rngs."
        )
