"""A model file gives its model back: structure without constructors, arrays to the bit, and nothing else is run."""

import functools
import json
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import FixedPoint, Normalised, Normaliser, Perceptron
from pdejax.operators import FNO, IteratedOperator
from pdejax.solvers import Anderson
from pdejax.training import load_model, save_model

KEY = jax.random.key(0)
CONFIG = {
    "_target_": "pdejax.operators.FNO",
    "in_channels": 1,
    "out_channels": 1,
    "modes": [2, 3],
    "width": 4,
    "depth": 2,
    "ndim": 2,
}


def fno(width=4, channels=1):
    return FNO(channels, 1, (2, 3), width, 2, 2, key=KEY)


class Pair(NamedTuple):
    left: object
    right: object


def scaled(v, by):
    return by * jnp.tanh(v)


class Odds(eqx.Module):
    """One of everything a field may hold."""

    parts: object
    static: object = eqx.field(static=True)

    def __init__(self, parts, static):
        raise AssertionError("no constructor runs")


def odds():
    layers = (eqx.nn.MLP(2, 3, 4, 1, activation=jax.nn.silu, key=KEY), eqx.nn.LayerNorm(3))
    numbers = [True, 3, 0.1, 2 - 1j, None, "text", np.float64(0.3), np.int32(7)]
    arrays = {"jax": jnp.arange(3.0), "numpy": np.arange(4.0), "half": {5: jnp.ones(2, jnp.bfloat16)}}
    functions = [functools.partial(scaled, by=np.array([0.1, 0.2])), jax.tree_util.Partial(scaled, by=jnp.array(3.0))]
    grid = pj.Grid(x=pj.Uniform(5, lower=pj.Dirichlet(0.25), upper=pj.Neumann()), y=pj.Fourier(4, length=2.0))
    static = (jnp.float32, np.dtype("int16"), Pair(jax.lax.Precision.HIGHEST, frozenset({1, 2})), scaled, Perceptron)
    made = object.__new__(Odds)
    object.__setattr__(made, "parts", [layers, numbers, arrays, functions, grid, Pair(jnp.zeros(1), ())])
    object.__setattr__(made, "static", static)
    return made


def test_every_kind_of_field_comes_back(tmp_path):
    model = odds()
    save_model(tmp_path / "model.eqx", model)
    found = load_model(tmp_path / "model.eqx")
    assert eqx.tree_equal(*(eqx.filter(tree, eqx.is_array_like) for tree in (model, found)), typematch=True)
    assert found.static == model.static
    partial, other = found.parts[3]
    assert partial.func is scaled and other.func is scaled and partial.keywords["by"].tolist() == [0.1, 0.2]


def test_wrapped_models_come_back(tmp_path):
    inner = FixedPoint(fno(channels=2), solver=Anderson(1e-3, window=3), max_steps=7)
    units = Normaliser([0.5], [2.0]), Normaliser([1.0], [3.0])
    for model in (inner, Normalised(IteratedOperator(fno(channels=2), 1, steps=2), *units)):
        save_model(tmp_path / "model.eqx", model)
        assert eqx.tree_equal(load_model(tmp_path / "model.eqx"), model)


class Lambdas(eqx.Module):
    inner: FNO
    activation: object

    def __init__(self, width):
        self.inner, self.activation = fno(width), lambda v: v


def header_of(path):
    return json.loads(path.read_bytes().split(b"\n", 1)[0])


def test_a_config_stands_in_for_what_has_no_path(tmp_path):
    """Also the way of the first files, which have a config and no structure."""
    path = tmp_path / "model.eqx"
    with pytest.raises(ValueError, match=r"lambda.*activation.*top level.*third argument"):
        save_model(path, Lambdas(4))
    config = {"model": {"_target_": f"{__name__}.Lambdas", "width": 4}}
    with pytest.raises(ValueError, match=r"inner\..* of shape \(4, 3\) where inner.* of shape \(5, 3\)"):
        save_model(path, Lambdas(4), {"model": config["model"] | {"width": 5}})
    assert not list(tmp_path.iterdir())
    model = Normalised(Lambdas(4), Normaliser([0.5], [2.0]), Normaliser([1.0], [3.0]))
    save_model(path, model, config)
    found = load_model(path)
    assert all(map(jnp.array_equal, *(jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (model, found))))
    assert "structure" not in header_of(path)
    assert eqx.tree_equal(load_model(path, like=model), model)


def test_a_config_is_kept_for_readers(tmp_path):
    save_model(tmp_path / "model.eqx", fno(), {"model": CONFIG, "normalise": False})
    header = header_of(tmp_path / "model.eqx")
    assert header["config"]["model"] == CONFIG and "jax" in header["versions"]


def test_other_models_and_files_are_told(tmp_path):
    save_model(tmp_path / "model.eqx", fno())
    with pytest.raises(ValueError, match="holds another model"):
        load_model(tmp_path / "model.eqx", like=fno(5))
    with pytest.raises(FileNotFoundError, match="save_model"):
        load_model(tmp_path / "none.eqx")
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(ValueError, match="no model file"):
        load_model(tmp_path / "text")


CALL = {"_target_": "os.getcwd"}
UNSAFE = {
    "config": {"config": CALL},
    "function": {"structure": {"name": "os.getcwd"}},
    "alias": {"structure": {"name": "pdejax.training._structure.importlib.import_module"}},
    "module": {"structure": {"module": ["pathlib.Path", []]}},
    "record": {"structure": {"record": ["jax.numpy.load", [["file", "x"]]]}},
    "member": {"structure": {"member": ["os.environ", "PATH"]}},
    "argument": {"structure": {"partial": [{"name": "subprocess.call"}, {"tuple": ["ls"]}, {"dict": []}]}},
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_a_file_cannot_name_what_no_model_has(kind, tmp_path):
    header = {"format": "pdejax-model-1", "versions": {}, "leaves": {}} | UNSAFE[kind]
    (tmp_path / "unsafe").write_text(json.dumps(header) + "\n")
    with pytest.raises(ValueError, match="equinox"):
        load_model(tmp_path / "unsafe")
