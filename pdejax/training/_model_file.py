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

_FORMAT = "pdejax-model-1"


def save_model(path: str | Path, model: PyTree, config: Mapping[str, Any]) -> None:
    """Write a model to one file: a JSON line (versions, config, names and shapes of the arrays), then the arrays.

    **Arguments:** `config` says how to build the model, `{"_target_": "pdejax.operators.FNO", "modes": 12, ...}`
    without `key`, alone or under `"model"`; of a `Normalised` model it describes the inner one, the rest is written
    down here.

    The file appears whole or not at all. **Raises** `ValueError` if `config` does not build this model.
    """
    path = Path(path)
    bare = model.model if isinstance(model, Normalised) else model
    header = {"format": _FORMAT, "versions": _versions(), "config": dict(config), "leaves": _form(model)}
    if isinstance(model, Normalised):
        header["normalised"] = {"inputs": len(model.inputs.mean), "targets": len(model.targets.mean)}
    difference = _difference(_form(bare), _form(_skeleton(config)))
    if difference is not None:
        raise ValueError(
            f"the config given to save_model does not describe this model: {difference}; "
            "write the arguments it was built with."
        )
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        eqx.tree_serialise_leaves(file, model)
    unfinished.replace(path)


def load_model(path: str | Path, like: PyTree | None = None) -> PyTree:
    """Read a model that `save_model` wrote; `like`, of the same structure, stands in for a config that builds none.

    **Raises** `FileNotFoundError` for a missing file, `ValueError` for a file of another kind or of another model.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no model file {path}; write one with pdejax.training.save_model(path, model, config)."
        )
    with path.open("rb") as file:
        header = _header(file.readline(), path)
        skeleton = like if like is not None else _rebuilt(header, path)
        difference = _difference(header["leaves"], _form(skeleton))
        if difference is not None:
            raise ValueError(
                f"{path} holds another model: {difference}; write the arguments of its config, "
                f"{json.dumps(header['config'])}."
            )
        return eqx.tree_deserialise_leaves(file, _of_dtype(skeleton, header["leaves"]))


def _header(line: bytes, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ValueError(
            f"{path} is no model file of pdejax ({_FORMAT}); write one with save_model(path, model, config)."
        )
    return header


def _rebuilt(header: dict[str, Any], path: Path) -> PyTree:
    try:
        model = _skeleton(header["config"])
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"the config in {path} builds no model here ({error}); pass a model of the same structure as like=."
        ) from error
    if "normalised" not in header:
        return model
    inputs, targets = (
        Normaliser(np.zeros(header["normalised"][name]), np.ones(header["normalised"][name]))
        for name in ("inputs", "targets")
    )
    return Normalised(model, inputs, targets)


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
        return (
            leaf
            if form is None
            else np.zeros(tuple(form[0]), form[1])
            if isinstance(leaf, np.ndarray)
            else jax.ShapeDtypeStruct(tuple(form[0]), jnp.dtype(form[1]))
        )

    return jax.tree_util.tree_map_with_path(one, skeleton)


def _versions() -> dict[str, str]:
    return {
        name: getattr(importlib.import_module(name), "__version__", "unknown") for name in ("jax", "equinox", "numpy")
    }
