import numpy as np
import pytest

import pdejax as pj
from pdejax.data import Dataset
from pdejax.training import evaluate


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
