import importlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

from ..nn import Normalised, Normaliser
from ._structure import describe, rebuild

_FORMAT = "pdejax-model-1"


def save_model(path: str | Path, model: PyTree, config: Mapping[str, Any] | None = None) -> None:
    """Write a model to one file: a JSON line (versions, structure, names and shapes of the arrays), then the arrays.

    The structure says of every module its class and its fields, of every function its dotted path: `load_model` needs
    no argument of any constructor.

    **Arguments:** `config` is kept for readers, `{"_target_": "pdejax.operators.FNO", "modes": 12, ...}` without `key`,
    alone or under `"model"`; of a `Normalised` model it describes the inner one. It is needed only where a part of the
    model has no dotted path, such as a lambda.

    The file appears whole or not at all. **Raises** `ValueError` if neither the model nor `config` says how to build it
    again.
    """
    path = Path(path)
    header = {"format": _FORMAT, "versions": _versions(), "leaves": _form(model)}
    if config is not None:
        header["config"] = dict(config)
    try:
        structure = describe(model)
        rebuild(structure)
        header["structure"] = structure
    except ValueError as error:
        if config is None:
            raise ValueError(f"{error} Or write the config that builds the model as the third argument.") from error
        header |= _by_config(model, config)
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        eqx.tree_serialise_leaves(file, model)
    unfinished.replace(path)


def load_model(path: str | Path, like: PyTree | None = None) -> PyTree:
    """Read a model that `save_model` wrote; `like`, of the same structure, stands in for classes that are not here.

    **Raises** `FileNotFoundError` for a missing file, `ValueError` for a file of another kind or of another model.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no model file {path}; write one with pdejax.training.save_model(path, model)."
        )
    with path.open("rb") as file:
        header = _header(file.readline(), path)
        skeleton = like if like is not None else _rebuilt(header, path)
        difference = _difference(header["leaves"], _form(skeleton))
        if difference is not None:
            raise ValueError(
                f"{path} holds another model: {difference}; pass a model of its structure as like=, or read it "
                f"with the versions that wrote it, {json.dumps(header['versions'])}."
            )
        return eqx.tree_deserialise_leaves(file, _of_dtype(skeleton, header["leaves"]))


def _header(line: bytes, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ValueError(f"{path} is no model file of pdejax ({_FORMAT}); write one with save_model(path, model).")
    return header


def _rebuilt(header: dict[str, Any], path: Path) -> PyTree:
    try:
        model = rebuild(header["structure"]) if "structure" in header else _skeleton(header["config"])
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} says of a model what cannot be built here ({error}); pass a model of the same structure as like=."
        ) from error
    if "normalised" not in header:
        return model
    inputs, targets = (
        Normaliser(np.zeros(header["normalised"][name]), np.ones(header["normalised"][name]))
        for name in ("inputs", "targets")
    )
    return Normalised(model, inputs, targets)


def _by_config(model: PyTree, config: Mapping[str, Any]) -> dict[str, Any]:
    """What the header says of a model that is built from its config, which has to build it."""
    normalised = isinstance(model, Normalised)
    difference = _difference(_form(model.model if normalised else model), _form(_skeleton(config)))
    if difference is not None:
        raise ValueError(
            f"the config given to save_model does not describe this model: {difference}; "
            "write the arguments it was built with."
        )
    if not normalised:
        return {}
    return {"normalised": {"inputs": len(model.inputs.mean), "targets": len(model.targets.mean)}}


def _skeleton(config: Mapping[str, Any]) -> PyTree:
    """The structure of the model of a config, without computing its weights."""
    node = config if "_target_" in config else config.get("model", {})
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ValueError('a model config needs "_target_", the dotted path of the class')
    return eqx.filter_eval_shape(lambda key: _built(node, key), jax.random.key(0))


def _built(node: Any, key: PRNGKeyArray) -> Any:
    if isinstance(node, list):
        return tuple(_built(entry, key) for entry in node)
    if not isinstance(node, Mapping):
        return node
    module, _, name = node["_target_"].rpartition(".")
    target = getattr(importlib.import_module(module), name)
    # Only modules: a file that somebody sent must not call anything else.
    if not (isinstance(target, type) and issubclass(target, eqx.Module)):
        raise ValueError(f"{node['_target_']} is not an equinox module")
    arguments = {k: _built(v, key) for k, v in node.items() if k not in ("_target_", "key")}
    takes_key = "key" in inspect.signature(target).parameters
    return target(**(arguments | {"key": key} if takes_key else arguments))


def _form(model: PyTree) -> dict[str, list]:
    leaves = jax.tree_util.tree_leaves_with_path(model)
    return {
        jax.tree_util.keystr(path).lstrip("."): [list(leaf.shape), str(leaf.dtype)]
        for path, leaf in leaves
        if hasattr(leaf, "shape") and hasattr(leaf, "dtype")
    }


def _difference(came: dict[str, list], wanted: dict[str, list]) -> str | None:
    """The first array that differs; dtypes may, since a model runs in that of its input."""
    for name in dict.fromkeys([*wanted, *came]):
        if (came.get(name) or [None])[0] != (wanted.get(name) or [None])[0]:
            texts = (
                f"{name} of shape {tuple(form[name][0])}" if name in form else f"no {name}" for form in (came, wanted)
            )
            return "it has {} where {} was wanted".format(*texts)
    return None


def _of_dtype(skeleton: PyTree, leaves: dict[str, list]) -> PyTree:
    def one(path, leaf):
        form = leaves.get(jax.tree_util.keystr(path).lstrip("."))
        if form is None or isinstance(leaf, np.generic):
            return leaf
        shape, dtype = tuple(form[0]), jnp.dtype(form[1])
        if isinstance(leaf, np.ndarray):
            return np.zeros(shape, dtype)
        # Without x64 a model in double precision is read in single.
        return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(dtype))

    return jax.tree_util.tree_map_with_path(one, skeleton)


def _versions() -> dict[str, str]:
    return {
        name: getattr(importlib.import_module(name), "__version__", "unknown") for name in ("jax", "equinox", "numpy")
    }
