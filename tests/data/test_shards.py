"""Data sets in shards: an interruption costs nothing but time, and damage is told."""

import json

import jax
import numpy as np
import pytest

from pdejax.data import (
    Dataset,
    Trajectories,
    generate,
    read,
    read_well,
    remove_shards,
    shards_done,
    write_shards,
)
from pdejax.grids import Grid, Uniform

GRID = Grid(x=Uniform(5))


def pairs(samples) -> Dataset:
    draw = lambda key: (jax.random.normal(key, (1, 5)), jax.random.uniform(key, (1, 5)))
    return Dataset(*generate(draw, samples, key=jax.random.key(0), chunk=2), GRID, name="pairs", metadata={"a": 1})


def interrupted_at(stop: int):
    def make(which):
        if stop in which:
            raise KeyboardInterrupt
        return pairs(which)

    return make


def test_interrupted_and_resumed_is_uninterrupted(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path / "a", interrupted_at(5), 10, size=4, request={"nu": 0.1})
    assert shards_done(tmp_path / "a") == (4, 10)
    with pytest.raises(ValueError, match="not complete: shard-00001.h5, shard-00002.h5 of 3"):
        read_well(tmp_path / "a")
    before = (tmp_path / "a" / "shard-00000.h5").stat().st_mtime_ns
    (tmp_path / "a" / ".shard-00001.h5.7.partial").write_bytes(b"half")  # what a killed process leaves
    write_shards(tmp_path / "a", pairs, 10, size=4, request={"nu": 0.1})
    assert (tmp_path / "a" / "shard-00000.h5").stat().st_mtime_ns == before
    write_shards(tmp_path / "b", pairs, 10, size=4)
    for name in (f"shard-0000{i}.h5" for i in range(3)):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert len(list((tmp_path / "a").iterdir())) == 4
    whole, again = pairs(10), read_well(tmp_path / "a")
    np.testing.assert_array_equal(again.inputs, whole.inputs)
    np.testing.assert_array_equal(again.targets, whole.targets)
    assert (again.name, again.metadata) == ("pairs", {"a": 1})
    by_name = read(tmp_path / "a", "input_0", "target_0")
    np.testing.assert_array_equal(by_name.inputs, whole.inputs)


def test_more_samples_keep_the_shards_there_are(tmp_path):
    write_shards(tmp_path, pairs, 6, size=4)
    write_shards(tmp_path, interrupted_at(3), 9, size=4)
    np.testing.assert_array_equal(read_well(tmp_path).inputs, pairs(9).inputs)


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(path.read_bytes()[:-9]), lambda path: path.unlink()])
def test_a_damaged_shard_is_told_and_made_again(harm, tmp_path):
    write_shards(tmp_path, pairs, 6, size=3)
    harm(tmp_path / "shard-00001.h5")
    with pytest.raises(ValueError, match=r"shard-00001.h5 is (damaged|missing).*once more"):
        read_well(tmp_path)
    with pytest.warns(UserWarning, match="shard-00001.h5 is not as it was written"):
        write_shards(tmp_path, interrupted_at(0), 6, size=3)
    np.testing.assert_array_equal(read_well(tmp_path).targets, pairs(6).targets)


def test_shards_of_another_request_are_refused(tmp_path):
    write_shards(tmp_path / "a", pairs, 4, request={"seed": 0, "nu": 0.1})
    with pytest.raises(ValueError, match="nu was 0.1 and is 0.2"):
        write_shards(tmp_path / "a", pairs, 4, request={"seed": 0, "nu": 0.2})
    write_shards(tmp_path / "a", pairs, 4, size=2, overwrite=True)
    assert json.loads((tmp_path / "a" / "manifest.json").read_text())["size"] == 2
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="letter.txt and no shards"):
        write_shards(tmp_path / "b", pairs, 4)
    remove_shards(tmp_path / "a")
    assert not (tmp_path / "a").exists() and shards_done(tmp_path / "a") == (0, 0)


def test_trajectories_in_shards(tmp_path):
    values = np.random.default_rng(0).standard_normal((5, 3, 1, 5))
    make = lambda which: Trajectories(values[which.start : which.stop], np.arange(3), GRID)
    write_shards(tmp_path, make, 5, size=2)
    np.testing.assert_array_equal(read_well(tmp_path).values, values)


def test_a_range_makes_those_samples():
    np.testing.assert_array_equal(pairs(range(3, 7)).inputs, pairs(8).inputs[3:7])
    for wrong in (0, True, range(0), range(0, 8, 2), range(-1, 3)):
        with pytest.raises(ValueError, match="samples must be a whole number"):
            pairs(wrong)
