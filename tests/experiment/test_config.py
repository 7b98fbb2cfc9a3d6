"""Configs: composition, refusals with the nearest name, objects and keys."""

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from pdejax.experiment._build import Keys, build
from pdejax.experiment._compose import compose
from pdejax.experiment._errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
PARTS = ("loss", "model", "optimizer", "precision", "zoo")
# What lies deeper is a part of one study's runs.
SHALLOW = sorted([*CONFIGS.glob("*.yaml"), *CONFIGS.glob("*/*.yaml")])
RUNS = [path for path in SHALLOW if path.parent.name not in PARTS]


@pytest.mark.parametrize("path", RUNS, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_every_config_composes_and_resolves(path):
    config = OmegaConf.to_container(compose(path), resolve=True, throw_on_missing=True)
    assert config["name"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainig.steps=3", "'training'"),
        ("training.step=3", "'steps'"),
        ("data.tst.path=x", "'test'"),
        ("training.steps=many", "training.steps"),
        ("model=uno", "model/uno"),
        ("name=[1,", "key=value"),
        ("steps", "key=value"),
        ("seed=0,1", "multirun"),
    ],
)
def test_a_wrong_override_is_one_sentence_that_names_the_remedy(override, said):
    with pytest.raises(ConfigError) as caught:
        compose(CONFIGS / "quickstart.yaml", [override])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_and_groups_are_read_as_written(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "small.yaml").write_text("_target_: pdejax.operators.FNO\nwidth: 4\n")
    (tmp_path / "a b.yaml").write_text("defaults:\n  - model: small\n  - _self_\nvariables:\n  rate: 1e-3\nseed: 7\n")
    config = compose(tmp_path / "a b", ["model.width=5", "training.ema=5e-4", "+variables.new=1"])
    assert config.variables.rate == 1e-3 and config.training.ema == 5e-4 and config.model.width == 5
    assert config.name == "a b" and config.output == "runs/a b" and config.seed == 7 and config.variables.new == 1


def test_a_missing_file_names_the_nearest():
    with pytest.raises(ConfigError, match="'quickstart'"):
        compose(CONFIGS / "quickstat.yaml")


def test_a_file_that_is_not_a_run_says_what_a_run_needs(tmp_path):
    (tmp_path / "x.yaml").write_text("modle: {}\n")
    with pytest.raises(ConfigError, match="exactly one of 'model'"):
        compose(tmp_path / "x.yaml")
    (tmp_path / "y.yaml").write_text("model: [\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        compose(tmp_path / "y.yaml")


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"_target_": "pdejax.grids.Fourier", "n": 8, "lenght": 1.0}, "'length'"),
        ({"_target_": "pdejax.grids.Fourrier", "n": 8}, "'Fourier'"),
        ({"_target_": "pdejaxx.grids.Fourier", "n": 8}, "no module 'pdejaxx'"),
        ({"_target_": "pdejax.grids.Fourier", "n": -8}, "pdejax.grids.Fourier"),
    ],
)
def test_a_wrong_node_names_its_place_and_the_remedy(node, said):
    with pytest.raises(ConfigError) as caught:
        build({"_target_": "pdejax.grids.Grid", "x": node}, "data.grid", Keys(0))
    assert said in str(caught.value) and "data.grid.x" in str(caught.value)


def test_nested_partial_and_positional_nodes():
    node = {
        "_target_": "builtins.dict",
        "f": {"_target_": "operator.add", "_partial_": True},
        "s": {"_target_": "builtins.sum", "_args_": [[1, 2]]},
    }
    built = build(node, "x", Keys(0))
    assert built["f"](1, 2) == 3 and built["s"] == 3


def keyed(*, size, key=None):
    return key


def test_keys_depend_on_the_seed_and_the_name_alone():
    node = {"_target_": f"{__name__}.keyed", "size": 1}
    alone = build(node, "model", Keys(3))
    among = build({"model": node, "other": node, "same": node | {"key": "model"}}, "top", Keys(3))
    assert np.array_equal(_data(alone), _data(build(node, "model", Keys(3))))
    assert np.array_equal(_data(among["same"]), _data(alone))
    assert not np.array_equal(_data(among["other"]), _data(among["model"]))
    assert not np.array_equal(_data(alone), _data(build(node, "model", Keys(4))))


def _data(key):
    import jax

    return np.asarray(jax.random.key_data(key))
