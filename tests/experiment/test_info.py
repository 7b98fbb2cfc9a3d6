"""What `pdejax info` says of a trained model, against what can be counted by hand."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import yaml

import pdejax as pj
from pdejax.data import Dataset, read
from pdejax.experiment._card import _cost, _resolutions, modes, size
from pdejax.experiment._cli import main
from pdejax.experiment._compose import compose
from pdejax.experiment._directory import RunDirectory
from pdejax.experiment._schema import resolved
from pdejax.nn import Normalised, Normaliser, Perceptron, Pointwise, SpectralConv
from pdejax.objectives import relative_l2
from pdejax.operators import FNO
from pdejax.training import save_model

KEY = jax.random.key(0)
# P, two layers of K, W and b, and Q of an FNO with 3 modes and width 4 in one dimension.
PARAMETERS = (2 * 4 + 4) + 2 * (2 * 4 * 4 * 3 + 4 * 4 + 4) + (4 * 128 + 128) + (128 + 1)


def data(channels, n, samples=3):
    grid = pj.Grid(x=pj.Cosine(n), y=pj.Fourier(n - 1))
    x, y = grid.mesh()
    k = np.arange(1, samples * channels + 1).reshape(samples, channels, 1, 1)
    values = (np.cos(np.pi * x) * np.sin(2 * np.pi * y) / k + 1).astype(np.float32)
    return Dataset(values, 2 * values, grid)


def test_a_run_and_its_model_file(tiny, capsys):
    plain, run = resolved(compose("tiny.yaml")), RunDirectory("runs/tiny")
    run.write_record(kind="train", state="finished", name="tiny")
    run.config.write_text(yaml.safe_dump(plain))
    inner = FNO(1, 1, 3, 4, 2, 1, key=KEY)
    model = Normalised(inner, Normaliser([1.5], [1.0]), Normaliser([0.0], [1.0]))
    save_model(run.model, model)

    assert main(["info", "runs/tiny"]) == 0
    out = capsys.readouterr().out
    assert "measured once" in out and f"parameters   {PARAMETERS:,} (" in out and "x: 3 (waves down to 1/3)" in out
    card = json.loads(run.card.read_text())
    rows = {tuple(row["shape"]): row for row in card["resolutions"]}
    assert list(rows) == [(16,), (8,), (4,), (32,)]
    test = read("test.npz", grid=pj.Grid(x=pj.Fourier(16, length=1.0)))
    predicted = jax.vmap(model)(test.input_fields()).values
    norm = lambda v: np.linalg.norm(np.asarray(v), axis=(1, 2))
    np.testing.assert_allclose(
        rows[16,]["error"], np.mean(norm(predicted - test.targets) / norm(test.targets)), rtol=1e-5
    )
    # One wave on any grid that resolves it: the model answers the same.
    assert rows[16,]["change"] == 0 and rows[8,]["change"] < 1e-3 and rows[32,]["change"] < 1e-4
    assert "modes=2 or less" in rows[4,]["refused"] and "modes=2 or less" in out
    assert card["gradient_bytes"] > card["forward_bytes"] > 0 and card["batch_size"] == 8

    assert main(["info", "runs/tiny"]) == 0
    assert "measured once" not in capsys.readouterr().out
    assert main(["info", "runs/tiny/model.eqx"]) == 0
    out = capsys.readouterr().out
    assert "Normalised of FNO" in out and f"{PARAMETERS:,}" in out and "axis 0: 3 (waves" in out
    Path("test.npz").unlink()
    run.card.unlink()
    assert main(["info", "runs/tiny"]) == 0
    assert "cannot be measured: " in capsys.readouterr().out


def test_operations_of_products_are_counted():
    model, samples = Pointwise(20, 30, key=KEY), data(20, 9)
    samples = Dataset(samples.inputs, np.ones((3, 30, 9, 8), np.float32), samples.grid)
    found = _cost(model, relative_l2, samples, 5)
    np.testing.assert_allclose(found["flops"], 2 * 20 * 30 * 72, rtol=0.1)
    assert not found["loops"] and found["batch_size"] == 5


def test_a_pointwise_model_is_the_same_on_all_grids():
    exact = lambda a: a.with_values(2 * a.values)
    own, half, quarter, fine = _resolutions(exact, data(2, 7), 2)
    assert [row["shape"] for row in (own, half, quarter, fine)] == [[7, 6], [4, 3], None, [13, 12]]
    assert max(row[key] for row in (own, half, fine) for key in ("error", "change")) < 1e-6
    # Every fourth of 7 nodes leaves no closed axis.
    assert "nodes" in quarter["refused"]


def test_size_and_modes_of_wrapped_models():
    inner = FNO(2, 1, (3, 2), 4, 1, 2, key=KEY)
    model = Normalised(inner, Normaliser([0.0, 0.0], [1.0, 1.0]), Normaliser([0.0], [1.0]))
    grids = data(1, 9).grid, pj.Grid(t=pj.Cosine(4), x=pj.Cosine(9), y=pj.Fourier(8))
    assert modes(model, *grids) == [{"axis": "x", "modes": 3}, {"axis": "y", "modes": 2}]
    # The statistics are no parameters.
    assert size(model)["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(inner) if isinstance(leaf, jax.Array))
    assert [row["axis"] for row in modes(SpectralConv(1, 1, 2, 3, key=KEY), *grids)] == ["t", "x", "y"]
    assert modes(Perceptron(2, 3, 4, 1, key=KEY), *grids) == []
    assert size(jnp.zeros(3, jnp.float32)) == {"parameters": 3, "bytes": 12}
