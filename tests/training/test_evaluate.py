import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.data import Dataset
from pdejax.nn import Normalised, Normaliser, Symmetrised
from pdejax.operators import FNO
from pdejax.training import evaluate, load_model, save_model

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


def fno():
    return FNO(1, 1, (2, 3), 4, 2, 2, key=KEY)


def dataset(n, count=7):
    grid = pj.Grid(x=pj.Fourier(n), y=pj.Fourier(n))
    x = np.random.default_rng(0).normal(size=(count, 1, n, n)).astype(np.float32)
    return Dataset(x, 2 * x + 1, grid)


def test_errors_of_each_sample_at_any_resolution():
    traces = []

    def model(a):
        traces.append(a.grid.shape)
        return a.with_values(2 * a.values)

    for n in (8, 12):
        data = dataset(n)
        for _ in range(2):
            found = evaluate(model, data, batch_size=3)
        difference, norm = np.ones(7) * 2 * np.pi, 2 * np.pi * np.sqrt(np.mean(data.targets**2, axis=(1, 2, 3)))
        np.testing.assert_allclose(found.errors["relative_l2"], difference / norm, rtol=1e-5)
        np.testing.assert_allclose(found.errors["max_error"], 1, rtol=1e-5)
        assert np.all(found.errors["relative_h1"] < found.errors["relative_l2"])
        np.testing.assert_allclose(found.predictions, 2 * data.inputs, rtol=1e-6)
    # One trace for each grid: neither the last, smaller batch nor the second call compiles.
    assert traces == [(8, 8), (12, 12)]
    with pytest.raises(ValueError, match="batch_size"):
        evaluate(model, dataset(8), batch_size=0)


@pytest.mark.parametrize("config", (CONFIG, {"model": CONFIG, "normalise": True}))
def test_model_file_gives_the_model_back(tmp_path, config):
    model = Normalised(fno(), Normaliser([0.5], [2.0]), Normaliser([1.0], [3.0]))
    save_model(tmp_path / "model.eqx", model, config)
    loaded = load_model(tmp_path / "model.eqx")
    a = pj.GridField(jax.random.normal(KEY, (1, 8, 8)), dataset(8).grid)
    np.testing.assert_array_equal(model(a).values, loaded(a).values)
    header = json.loads((tmp_path / "model.eqx").read_bytes().split(b"\n", 1)[0])
    assert header["config"] == config and "jax" in header["versions"]


def test_nested_model_config(tmp_path):
    config = {"_target_": "pdejax.nn.Symmetrised", "model": CONFIG, "axes": [0, 1]}
    save_model(tmp_path / "model.eqx", Symmetrised(fno()), config)
    loaded = load_model(tmp_path / "model.eqx")
    assert jnp.array_equal(loaded.model.lift.weight, fno().lift.weight)


def test_other_models_and_files_are_told(tmp_path):
    with pytest.raises(ValueError, match="lift.weight"):
        save_model(tmp_path / "model.eqx", fno(), {**CONFIG, "width": 5})
    assert not list(tmp_path.iterdir())
    save_model(tmp_path / "model.eqx", fno(), CONFIG)
    with pytest.raises(ValueError, match="holds another model"):
        load_model(tmp_path / "model.eqx", like=FNO(1, 1, 2, 5, 2, 2, key=KEY))
    with pytest.raises(FileNotFoundError, match="save_model"):
        load_model(tmp_path / "none.eqx")
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(ValueError, match="no model file"):
        load_model(tmp_path / "text")
    unsafe = {"format": "pdejax-model-1", "config": {"_target_": "os.getcwd"}, "leaves": {}}
    (tmp_path / "unsafe").write_text(json.dumps(unsafe) + "\n")
    with pytest.raises(ValueError, match="not an equinox module"):
        load_model(tmp_path / "unsafe")
