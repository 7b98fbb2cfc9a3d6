"""`pdejax data` in shards: an interrupted generation goes on where it stopped, to the same bits."""

import json
from pathlib import Path

import numpy as np
import pytest

import pdejax.data
from pdejax.data import read_well
from pdejax.experiment import main

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs" / "data" / "antiderivative.yaml")
SMALL = ["dataset.samples=7", "dataset.resolution=9", "dataset.nodes=8", "shard=3"]


@pytest.fixture
def stopping(monkeypatch):
    """Interrupt the generation when it writes the second of its shards."""
    whole, count = pdejax.data._shards.write_well, []

    def write(path, dataset, **kwargs):
        count.append(path)
        if len(count) == 2:
            raise KeyboardInterrupt
        return whole(path, dataset, **kwargs)

    monkeypatch.setattr("pdejax.data._shards.write_well", write)


def test_the_same_command_goes_on(tiny, stopping, capsys):
    assert main(["data", CONFIG, *SMALL, "output=out/a.h5"]) == 130
    assert "3 of 7 samples stand" in capsys.readouterr().out
    assert sorted(path.name for path in Path("out").iterdir() if path.name != ".cache") == ["a.h5.shards"]
    assert main(["data", CONFIG, *SMALL, "output=out/a.h5"]) == 0
    assert "going on with pdejax.data.antiderivative after 3 samples" in capsys.readouterr().out
    assert not Path("out/a.h5.shards").exists()
    assert main(["data", CONFIG, *SMALL, "output=out/b.h5"]) == 0
    assert Path("out/a.h5").read_bytes() == Path("out/b.h5").read_bytes()
    assert len(read_well("out/a.h5")) == 7


def test_a_folder_of_shards(tiny, capsys):
    assert main(["data", CONFIG, *SMALL, "output=out/set"]) == 0
    manifest = json.loads(Path("out/set/manifest.json").read_text())
    assert manifest["samples"] == 7 and len(manifest["shards"]) == 3 and manifest["request"]["seed"] == 0
    assert main(["data", CONFIG, *SMALL, "output=out/set"]) == 2
    assert "overwrite=true" in capsys.readouterr().err
    seven = read_well("out/set").inputs
    assert main(["data", CONFIG, *SMALL, "output=out/set", "dataset.samples=9"]) == 0  # more of the same
    np.testing.assert_allclose(read_well("out/set").inputs[:7], seven, atol=1e-14)
    assert main(["data", CONFIG, *SMALL, "output=out/set", "seed=1"]) == 2
    assert "seed was 0 and is 1" in capsys.readouterr().err
    assert main(["data", CONFIG, *SMALL, "output=out/set", "seed=1", "overwrite=true"]) == 0
    assert not np.array_equal(read_well("out/set").inputs, seven)


def test_every_data_config_names_a_data_set_and_its_arguments():
    from pdejax.experiment._build import locate, parameters
    from pdejax.experiment._compose import compose

    paths = sorted((ROOT / "configs" / "data").glob("*.yaml"))
    assert len(paths) > 20
    for path in paths:
        node = compose(str(path), []).dataset
        target = locate(node["_target_"], "dataset")
        assert target.__name__ == path.stem and set(node) - {"_target_"} <= set(parameters(target))
