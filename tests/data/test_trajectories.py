"""Trajectories: windows, pairs and parts against slices written out by hand."""

import equinox as eqx
import h5py
import jax
import numpy as np
import pytest

from pdejax.data import Trajectories, read_well, write_well
from pdejax.grids import Fourier, Grid, Uniform


def make(channels=2, **facts) -> Trajectories:
    values = np.random.default_rng(0).standard_normal((3, 7, channels, 9, 8))
    grid = Grid(x=Uniform(9), y=Fourier(8))
    return Trajectories(values, 0.5 * np.arange(7) + 1, grid, name="flow", metadata={"nu": 0.1} | facts)


def test_windows_are_the_frames_in_order():
    data = make()
    pairs = data.windows(2, 3)
    assert pairs.inputs.shape == (9, 4, 9, 8) and pairs.targets.shape == (9, 6, 9, 8)
    v = data.values
    np.testing.assert_array_equal(pairs.inputs[4], np.concatenate([v[1, 1], v[1, 2]]))
    np.testing.assert_array_equal(pairs.targets[4], np.concatenate([v[1, 3], v[1, 4], v[1, 5]]))
    apart = data.windows(1, 1, stride=3)
    np.testing.assert_array_equal(apart.inputs[:2], v[0, [0, 3]])
    np.testing.assert_array_equal(apart.targets[2:4], v[1, [1, 4]])
    assert pairs.metadata["windows"] == {"history": 2, "horizon": 3, "stride": 1} and pairs.metadata["nu"] == 0.1


def test_pairs_carry_their_lead_time():
    data = make(channels=1)
    pairs = data.pairs()
    assert len(pairs) == 3 * 28 and pairs.in_channels == 2
    lead = pairs.inputs[:, 1]
    assert (lead == lead[:, :1, :1]).all() and set(np.unique(lead)) == set(0.5 * np.arange(7))
    same = lead[:, 0, 0] == 0
    np.testing.assert_array_equal(pairs.inputs[same, 0], pairs.targets[same, 0])
    np.testing.assert_array_equal(pairs.targets[28 + 5, 0], data.values[1, 5, 0])  # frames 0 and 5
    assert len(data.pairs(most=1)) == 3 * 13


def test_states_parts_and_coarser_nodes():
    data = make()
    closure = data.states([0], [1])
    np.testing.assert_array_equal(closure.inputs[8], data.values[1, 1, :1])
    np.testing.assert_array_equal(closure.targets[8], data.values[1, 1, 1:])
    one, other = data.split(2, key=jax.random.key(0))
    assert (len(one), len(other), len(data[[0, 2]])) == (2, 1, 2)
    coarse = data.subsample(2, frames=3)
    np.testing.assert_array_equal(coarse.values, data.values[:, ::3, :, ::2, ::2])
    assert coarse.grid.shape == (5, 4) and coarse.times.tolist() == [1.0, 2.5, 4.0]
    late = data.between(2, 3.5)
    np.testing.assert_array_equal(late.values, data.values[:, 2:6])
    assert late.times.tolist() == [2.0, 2.5, 3.0, 3.5]
    assert coarse.metadata["subsampled"] == 2 and "7 frames in [1, 4]" in repr(data)


@pytest.mark.parametrize("names", [None, ["u", "v"], ["velocity"]])
def test_the_file_gives_them_back(names, tmp_path):
    data = make(**({} if names is None else {"names": names}))
    path = write_well(tmp_path / "t.h5", data)
    again = read_well(path)
    assert isinstance(again, Trajectories) and bool(eqx.tree_equal(again.grid, data.grid))
    np.testing.assert_array_equal(again.values, data.values)
    np.testing.assert_array_equal(again.times, data.times)
    assert (again.name, again.metadata) == (data.name, data.metadata)
    with h5py.File(path) as file:
        order = "t1_fields" if names == ["velocity"] else "t0_fields"
        first = (names or ["field_0"])[0]
        assert file[order][first].shape[:4] == (3, 7, 9, 8) and file[order][first].attrs["time_varying"]
        np.testing.assert_array_equal(file["dimensions/time"], data.times)


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: make().windows(5, 3), ValueError, "horizon of at most 2"),
        (lambda: make().windows(0, 3), ValueError, "whole history >= 1"),
        (lambda: make()[1], TypeError, r"dataset\[1:1 \+ 1\]"),
        (lambda: make().between(1.1, 1.4), ValueError, "no frame between 1.1 and 1.4"),
        (lambda: make().subsample(3), ValueError, "strides that fit"),
        (lambda: make()._with(np.zeros((3, 7, 9, 8))), ValueError, r"values\[:, :, None\]"),
        (lambda: make()._with(make().values, np.zeros(7)), ValueError, "increasing times"),
    ],
)
def test_bad_input(act, error, words):
    with pytest.raises(error, match=words):
        act()


def test_the_first_bad_sample_is_named():
    data = make()
    data.values[1, 2, 0, 3, 3] = np.nan
    with pytest.raises(
        ValueError, match="values of data set 'flow' are not finite in 1 of 3 samples, first in sample 1"
    ):
        data.check()
