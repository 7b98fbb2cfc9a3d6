"""A pytree of modules as plain values, and back without calling a constructor."""

import dataclasses
import enum
import functools
import importlib
import inspect
import sys
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

# Whose functions and types a file may name; it may name those of the packages its modules come from, too.
_TRUSTED = frozenset({"jax", "ml_dtypes", "equinox", "flax", "lineax", "optimistix", "diffrax", "optax", "pdejax"})
_CONTAINERS = {"tuple": tuple, "list": list, "set": set, "frozenset": frozenset}


def describe(model: PyTree) -> Any:
    """The model as JSON holds it: classes and functions by dotted path, fields by name, arrays by shape and dtype.

    **Raises** `ValueError` for what has no dotted path (a lambda, a class made inside a function) or is not known here.
    """
    return _described(
        jax.tree.map(lambda leaf: _Leaf(leaf) if isinstance(leaf, jax.Array | np.ndarray) else leaf, model), ""
    )


def rebuild(description: Any) -> PyTree:
    """The model of a description, with shapes in place of its arrays.

    Modules get their fields as they were, so no constructor runs; only flax modules, which are records of their
    arguments, are built. **Raises** `ValueError`, `ImportError` or `AttributeError` for what is not here, and for
    classes and functions that no model has.
    """
    return _rebuilt(description, _TRUSTED | _packages(description))


def is_module(kind: Any) -> bool:
    """Whether an object is a class of equinox or flax modules."""
    if not isinstance(kind, type):
        return False
    # By name: a model without flax need not load it.
    flax = (base.__module__.startswith("flax.") and base.__name__ == "Module" for base in kind.__mro__)
    return issubclass(kind, eqx.Module) or any(flax)


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """An array whose values are kept elsewhere."""

    array: Any


def _described(node: Any, where: str) -> Any:
    if isinstance(node, _Leaf):
        kind = "array" if isinstance(node.array, jax.Array) else "numpy"
        return {kind: [list(node.array.shape), str(node.array.dtype)]}
    if isinstance(node, jax.Array | np.ndarray):
        # Part of the structure, as the arguments of a functools.partial are.
        return {"constant": [isinstance(node, jax.Array), str(node.dtype), node.tolist()]}
    if isinstance(node, np.generic):
        return {"scalar": [str(node.dtype), node.item()]}
    if isinstance(node, enum.Enum):
        return {"member": [_path(type(node), where), node.name]}
    if node is None or isinstance(node, bool | int | float | str):
        return node
    if isinstance(node, complex):
        return {"complex": [node.real, node.imag]}
    if isinstance(node, np.dtype):
        return {"dtype": str(node)}
    if isinstance(node, dict):
        return {"dict": [[_described(k, where), _described(v, f"{where}[{k!r}]")] for k, v in node.items()]}
    if hasattr(node, "_asdict") and issubclass(type(node), tuple):
        return {"record": [_path(type(node), where), _fields(node, node._asdict(), where)]}
    for name, kind in _CONTAINERS.items():
        if type(node) is kind:
            return {name: [_described(entry, f"{where}[{i}]") for i, entry in enumerate(node)]}
    if isinstance(node, functools.partial):
        parts = [_described(getattr(node, name), f"{where}.{name}") for name in ("func", "args", "keywords")]
        return {"partial" if type(node) is functools.partial else "Partial": parts}
    if is_module(type(node)) and dataclasses.is_dataclass(node):
        return {"module": [_path(type(node), where), _fields(node, _own_fields(node), where)]}
    return {"name": _path(node, where)}


def _own_fields(module: Any) -> list[str]:
    # Two that flax adds to every record of arguments.
    added = () if isinstance(module, eqx.Module) else ("parent", "name")
    names = (field.name for field in dataclasses.fields(module))
    return [name for name in names if hasattr(module, name) and name not in added]


def _fields(node: Any, names: Iterable[str], where: str) -> list[list]:
    return [[name, _field(node, name, f"{where}.{name}")] for name in names]


def _field(node: Any, name: str, where: str) -> Any:
    try:
        return _described(getattr(node, name), where)
    except ValueError:
        # Defaults need no path of their own: activations that equinox, initialisers that flax has without a name.
        if getattr(node, name) is not _default(type(node), name):
            raise
        return {"default": [_path(type(node), where), name]}


def _default(kind: type, name: str) -> Any:
    parameter = inspect.signature(kind).parameters.get(name)
    return None if parameter is None else parameter.default


def _path(node: Any, where: str) -> str:
    """The shortest dotted path that leads to a class or function."""
    module, name = getattr(node, "__module__", None), getattr(node, "__qualname__", getattr(node, "__name__", None))
    if isinstance(module, str) and isinstance(name, str):
        parts = module.split(".")
        for cut in range(1, len(parts) + 1):
            path = ".".join([*parts[:cut], name])
            if _found(sys.modules.get(".".join(parts[:cut])), name) is node:
                return path
    raise ValueError(
        f"the model has {node!r} at {where.lstrip('.') or 'its root'}, which no dotted path leads to: define it with "
        "def or class at the top level of a module."
    )


def _found(module: Any, name: str) -> Any:
    return functools.reduce(lambda found, part: getattr(found, part, None), name.split("."), module)


def _packages(node: Any) -> frozenset[str]:
    """The top-level packages of all modules of a description."""
    if isinstance(node, list):
        return frozenset().union(*map(_packages, node))
    if not isinstance(node, dict):
        return frozenset()
    ((kind, content),) = node.items()
    own = {content[0].split(".")[0]} if kind == "module" and is_module(_located(content[0])) else set()
    return _packages(content) | own


def _located(path: str) -> Any:
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, parts[cut:], found)
    raise ImportError(f"there is no module {parts[0]!r}")


def _rebuilt(node: Any, trusted: frozenset[str]) -> Any:
    parts: Any
    again = functools.partial(_rebuilt, trusted=trusted)
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    if kind == "array":
        return jax.ShapeDtypeStruct(tuple(content[0]), jnp.dtype(content[1]))
    if kind == "numpy":
        return np.zeros(tuple(content[0]), jnp.dtype(content[1]))
    if kind == "constant":
        constant = np.asarray(content[2], jnp.dtype(content[1]))
        return jnp.asarray(constant) if content[0] else constant
    if kind == "scalar":
        return jnp.dtype(content[0]).type(content[1])
    if kind == "complex":
        return complex(*content)
    if kind == "dtype":
        return np.dtype(content)
    if kind == "dict":
        return {again(k): again(v) for k, v in content}
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](map(again, content))
    if kind in ("partial", "Partial"):
        func, args, keywords = map(again, content)
        return (functools.partial if kind == "partial" else jax.tree_util.Partial)(func, *args, **keywords)
    path, parts = content if kind != "name" else (content, None)
    target = _located(path)
    if not _permitted(kind, target, trusted):
        raise ValueError(f"{path} is no module of equinox or flax, and nothing of a package that the model comes from")
    if kind == "member":
        return target[parts]
    if kind == "default":
        return _default(target, parts)
    if kind == "name":
        return target
    fields = {name: again(value) for name, value in parts}
    return target._make(fields.values()) if kind == "record" else _made(target, fields)


def _permitted(kind: str, target: Any, trusted: frozenset[str]) -> bool:
    # A file that somebody sent must not call anything: it makes modules and records, and names functions and types of
    # known packages.
    wanted = {"record": lambda: issubclass(target, tuple), "member": lambda: issubclass(target, enum.Enum)}
    if kind in wanted and not (isinstance(target, type) and wanted[kind]()):
        return False
    if is_module(target):
        return True
    return kind not in ("module", "default") and _path(target, repr(target)).split(".")[0] in trusted


def _made(target: type, fields: dict[str, Any]) -> Any:
    if not issubclass(target, eqx.Module):
        return target(**fields)
    module = object.__new__(target)
    for name, value in fields.items():
        object.__setattr__(module, name, value)
    return module
