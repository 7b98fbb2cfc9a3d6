"""The data set: shapes, parts, coarser grids, and sentences for bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdejax.data import Dataset, noisy
from pdejax.grids import Chebyshev, Cosine, Fourier, Grid, Periodic, Uniform


def make(samples=6, shape=(17, 24), **kwargs) -> Dataset:
    rng = np.random.default_rng(0)
    grid = Grid(x=Uniform(shape[0]), y=Fourier(shape[1], length=2.0))
    arrays = (rng.standard_normal((samples, c, *shape)) for c in (2, 5))
    return Dataset(*arrays, grid, name="noise", metadata={"nu": np.float64(0.1), "sizes": (1, 2)}, **kwargs)


def test_facts_and_parts():
    data = make()
    assert (len(data), data.in_channels, data.out_channels) == (6, 2, 5)
    assert data.metadata == {"nu": 0.1, "sizes": [1, 2]}
    data.metadata["nu"] = 5.0
    assert data.metadata["nu"] == 0.1  # a copy
    assert len(data[1:4]) == 3 and data[1:4].name == "noise"
    np.testing.assert_array_equal(data[[4, 1]].targets, data.targets[[4, 1]])
    np.testing.assert_array_equal(data[jnp.array([4, 1])].targets, data.targets[[4, 1]])
    np.testing.assert_array_equal(data[np.arange(6) > 3].inputs, data.inputs[4:])
    assert data.check() is data
    assert "6 samples" in repr(data)


def test_fields_are_batches():
    data = make()
    fields = data.input_fields()
    assert fields.values.shape == (6, 2, 17, 24) and fields.grid == data.grid
    norms = jax.vmap(lambda u: jnp.sum(u.values**2))(data.target_fields())
    np.testing.assert_allclose(norms, np.sum(data.targets**2, axis=(1, 2, 3)))


def test_split():
    data = make()
    first, rest = data.split(4)
    np.testing.assert_array_equal(first.inputs, data.inputs[:4])
    np.testing.assert_array_equal(rest.inputs, data.inputs[4:])
    assert [len(part) for part in data.split(0.5)] == [3, 3]
    a, b = data.split(4, key=jax.random.key(0))
    together = np.concatenate([a.inputs, b.inputs])
    assert not np.array_equal(together, data.inputs)
    np.testing.assert_array_equal(np.sort(together.ravel()), np.sort(data.inputs.ravel()))


def test_subsample_keeps_the_values_at_the_nodes_of_a_coarser_grid():
    data = make()
    coarse = data.subsample(4)
    assert coarse.inputs.shape == (6, 2, *coarse.grid.shape) == (6, 2, 5, 6)
    for i in range(2):
        np.testing.assert_allclose(coarse.grid.axes[i].points, data.grid.axes[i].points[::4], atol=1e-15)
    np.testing.assert_array_equal(coarse.targets, data.targets[:, :, ::4, ::4])
    assert data.subsample(2).subsample(2).metadata["subsampled"] == 4


@pytest.mark.parametrize("stride, n", [(2, 211), (3, 141), (4, 106), (5, 85), (7, 61), (10, 43)])
def test_the_nested_sizes_of_the_darcy_grid(stride, n):
    data = Dataset(np.zeros((1, 1, 421)), np.zeros((1, 1, 421)), Grid(x=Uniform(421)))
    assert data.subsample(stride).grid.shape == (n,)


@pytest.mark.parametrize(
    ("axis", "stride", "good"),
    [
        (Fourier(12), 3, True),
        (Fourier(12), 5, False),
        (Uniform(12, lower=Periodic(), upper=Periodic()), 2, True),
        (Cosine(13), 4, True),
        (Cosine(12), 4, False),
        (Cosine(12, centred=True), 2, False),
        (Chebyshev(13), 3, True),
    ],
)
def test_strides_that_nest(axis, stride, good):
    data = Dataset(np.zeros((1, 1, axis.n)), np.zeros((1, 1, axis.n)), Grid(x=axis))
    if good:
        coarse = data.subsample(stride).grid.axis("x")
        np.testing.assert_allclose(coarse.points, axis.points[::stride], atol=1e-14)
    else:
        with pytest.raises(ValueError, match="strides that fit"):
            data.subsample(stride)


def test_time_of_a_target_grid_is_not_subsampled():
    grid = Grid(x=Fourier(8))
    trajectories = Grid(t=Uniform(5), x=Fourier(8))
    data = Dataset(np.zeros((3, 1, 8)), np.zeros((3, 1, 5, 8)), grid, target_grid=trajectories)
    assert data.subsample(2).target_grid.shape == (5, 4)


def test_a_data_set_is_a_pytree_with_hashable_facts():
    data = make()
    doubled = jax.jit(lambda d: jax.tree.map(lambda a: 2 * a, d))(data)
    np.testing.assert_allclose(doubled.inputs, 2 * data.inputs)
    assert doubled.metadata == data.metadata


def test_non_finite_data_names_the_first_bad_sample():
    data = make()
    data.targets[3, 1, 2, 2] = np.nan
    data.targets[5, 0, 0, 0] = np.inf
    with pytest.raises(
        ValueError, match="targets of data set 'noise' are not finite in 2 of 6 samples, first in sample 3"
    ):
        data.check()


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: make(samples=0), ValueError, "is empty"),
        (lambda: make()[6:], ValueError, "is empty"),
        (lambda: make()[2], TypeError, r"dataset\[2:2 \+ 1\]"),
        (lambda: make().split(6), ValueError, r"split\(4\) or split\(0.8\)"),
        (lambda: make().split(0), ValueError, "at least one"),
        (lambda: make().subsample(5), ValueError, r"strides that fit: 2, 4, 8, 16\."),
        (lambda: make().subsample(0), ValueError, "stride >= 1"),
        (
            lambda: make(target_grid=Grid(x=Uniform(12), y=Fourier(12))),
            ValueError,
            "targets of data set 'noise' need shape",
        ),
        (lambda: Dataset(np.zeros((2, 9)), np.zeros((2, 9)), Grid(x=Uniform(9))), ValueError, "add a channel axis"),
        (lambda: Dataset(np.zeros((2, 1, 9)), np.zeros((3, 1, 9)), Grid(x=Uniform(9))), ValueError, "2 inputs but 3"),
        (
            lambda: Dataset(np.zeros((2, 1, 9)), np.zeros((2, 1, 9)), Grid(x=Uniform(9)), metadata={"f": print}),
            TypeError,
            "plain values",
        ),
    ],
)
def test_bad_input(act, error, words):
    with pytest.raises(error, match=words):
        act()


def test_noise_has_the_level_of_each_channel():
    data = make(samples=40)
    scaled = Dataset(np.float32([1.0, 100.0])[:, None, None] * data.inputs.astype("f4"), data.targets, data.grid)
    rough = noisy(scaled, 0.1, seed=3)
    added = rough.inputs - scaled.inputs
    np.testing.assert_allclose(added.std(axis=(0, 2, 3)), [0.1, 10.0], rtol=0.05)
    assert rough.inputs.dtype == "f4" and rough.metadata["noise"] == {"level": 0.1, "seed": 3}
    assert np.abs(np.corrcoef(added[:, 0].ravel(), added[:, 1].ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(rough.targets, scaled.targets)
    assert noisy(scaled, 0.0) is scaled
    assert np.abs(noisy(scaled, 0.1, seed=4).inputs - rough.inputs).max() > 1
    with pytest.raises(ValueError, match="level"):
        noisy(scaled, -0.1)
