"""From `_target_` nodes to objects, with one key folded per component."""

import functools
import importlib
import inspect
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from ._errors import ConfigError, nearest, sentence

_SPECIAL = frozenset({"_target_", "_args_", "_partial_"})


class Keys:
    """Random keys by component name: `keys("model")` depends on the seed and that name alone.

    Adding, removing or renaming another component therefore never reseeds this one.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def __call__(self, name: str) -> Any:
        import jax

        return jax.random.fold_in(jax.random.key(self.seed), zlib.crc32(name.encode()))


def build(node: Any, where: str, keys: Keys, defaults: Mapping[str, Any] | None = None) -> Any:
    """The object a config node describes.

    `_target_` names a class or function by its dotted path, `_args_` are positional arguments,
    `_partial_: true` asks for the callable with these arguments bound instead of calling it; all
    other entries are keyword arguments, built in turn. A target that takes a `key` and is given
    none gets the key of its place `where` in the config; `key: some.name` asks for the key of
    another component. `defaults` fill arguments the config leaves out, where the target has them.

    Raises `ConfigError` for an unknown target or argument, and for what the target itself refuses.
    """
    if isinstance(node, Mapping) and "_target_" in node:
        return _build_target(node, where, keys, defaults or {})
    if isinstance(node, Mapping):
        return {name: build(value, f"{where}.{name}", keys) for name, value in node.items()}
    if isinstance(node, list):
        return [build(value, f"{where}.{index}", keys) for index, value in enumerate(node)]
    return node


def _build_target(node: Mapping, where: str, keys: Keys, defaults: Mapping[str, Any]) -> Any:
    path = node["_target_"]
    target = locate(path, where)
    args = [build(value, f"{where}.{index}", keys) for index, value in enumerate(node.get("_args_") or [])]
    given = {name: value for name, value in node.items() if name not in _SPECIAL}
    partial = bool(node.get("_partial_", False))
    names = parameters(target)
    if names is not None:
        _check_arguments(given, names, path, where)
        missing = {name: value for name, value in defaults.items() if name in names and name not in given}
        if "key" in names and not partial:
            missing["key"] = keys(given.pop("key") if isinstance(given.get("key"), str) else where)
    else:
        missing = {}
    kwargs = {name: build(value, f"{where}.{name}", keys) for name, value in given.items()} | missing
    if partial:
        return functools.partial(target, *args, **kwargs) if args or kwargs else target
    try:
        return target(*args, **kwargs)
    except ConfigError:
        raise
    except (TypeError, ValueError, LookupError, RuntimeError, FileNotFoundError) as error:
        raise ConfigError(f"{where} ({path}): {sentence(error)}") from error


def locate(path: str, where: str) -> Callable:
    """The class or function with this dotted path."""
    parts = str(path).split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:cut])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # Only the named module itself may be missing: an import that fails inside it is a fault to show.
            if error.name is None or not module_name.startswith(error.name):
                raise
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                public = [name for name in dir(found) if not name.startswith("_")]
                raise ConfigError(
                    f"{where}._target_ names {path}, but {module_name} has no '{part}': {nearest(part, public)}."
                )
            found = getattr(found, part)
        return found
    raise ConfigError(f"{where}._target_ names {path}, but there is no module '{parts[0]}': write package.module.Name.")


def parameters(target: Callable) -> tuple[str, ...] | None:
    """The keyword arguments a target takes, or None where it takes any."""
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return None
    kinds = inspect.Parameter
    if any(parameter.kind is kinds.VAR_KEYWORD for parameter in signature.parameters.values()):
        return None
    positional = (kinds.VAR_POSITIONAL, kinds.POSITIONAL_ONLY)
    return tuple(name for name, parameter in signature.parameters.items() if parameter.kind not in positional)


def _check_arguments(given: Mapping[str, Any], names: tuple[str, ...], path: str, where: str) -> None:
    for name in given:
        if name not in names:
            raise ConfigError(
                f"unknown config key '{where}.{name}': {path} has no argument '{name}', {nearest(name, names)}."
            )
