"""The report: all sections, nothing from outside, any dimension; the comparison of runs."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pdejax.experiment._compare import write_comparison
from pdejax.experiment._directory import RunDirectory, write_json
from pdejax.experiment._errors import ConfigError
from pdejax.experiment._evaluate import _statistics, store_samples
from pdejax.experiment._figures import shell_energy
from pdejax.experiment._metrics import MetricsLog, read_metrics
from pdejax.experiment._report import write_report

VOID = {"meta", "link", "br", "img", "image", "path", "rect", "use"}


class Checker(HTMLParser):
    """Collects ids and the addresses a page would load, and checks that its tags are closed."""

    def __init__(self):
        HTMLParser.__init__(self)
        self.open, self.ids, self.loads = [], [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.loads += [found[name] for name in ("src", "href") if name in found]
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in ("meta", "link", "br", "img"):
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag


class Samples:
    """What `store_samples` reads of a data set."""

    def __init__(self, inputs, targets, grid, input_grid=None):
        self.inputs, self.targets, self.target_grid = inputs, targets, grid
        self.grid = grid if input_grid is None else input_grid


def finished(path, ndim, channels=1, seed=0):
    from pdejax.grids import Fourier, Grid, Uniform

    directory = RunDirectory(path)
    directory.claim(False, False)
    directory.write_record(state="finished", kind="train", name=f"run {seed}", summary="a model", seed=seed, steps=30)
    directory.write_record(step=30, parameters=1234, trained_points=9, command="pdejax run x.yaml", seconds=3.0)
    directory.config.write_text(f"seed: {seed}\nmodel:\n  width: {seed + 2}\n")
    log = MetricsLog(directory.metrics)
    for step in (10, 20, 30):
        log.append({"step": step, "train_loss": 1.0 / step, "validation_loss": 2.0 / step, "rate": 3.0})
    axes = dict(zip("xyz", (Fourier(8), Uniform(9), Uniform(10)), strict=True))
    grid = Grid(**{name: axes[name] for name in "xyz"[:ndim]})
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(7, channels, *grid.shape))
    predicted, errors = truth + 0.1 * rng.normal(size=truth.shape), rng.uniform(0.1, 0.4, 7)
    store_samples(directory.samples, Samples(truth[:, :1] > 0, truth, grid), predicted, errors, 3)
    test = {"dataset": "d", "samples": 7, "errors": {"relative_l2": errors.tolist()}, "seconds_per_sample": 1e-3}
    test |= {"metrics": {"relative_l2": _statistics(errors)}}
    tests = [test | {"label": "test", "shape": list(grid.shape), "points": 9}]
    tests += [test | {"label": "twice", "shape": [17] * ndim, "points": 17}]
    write_json(directory.evaluation, {"tests": tests})
    return directory


def test_inputs_may_live_on_other_axes_than_targets(tmp_path):
    """An initial state is drawn as a curve, its history as a picture."""
    from pdejax.grids import Fourier, Grid, Uniform

    directory, space = finished(tmp_path / "run", 2), Fourier(8)
    grid, rng = Grid(t=Uniform(9), x=space), np.random.default_rng(0)
    truth = rng.normal(size=(7, 1, *grid.shape))
    data = Samples(truth[:, :, 0], truth, grid, Grid(x=space))
    store_samples(directory.samples, data, truth + 0.1, rng.uniform(0.1, 0.4, 7), 3)
    text = write_report(directory).read_text()
    assert "Median of 7" in text and "prediction" in text


@pytest.mark.parametrize(("ndim", "channels"), [(1, 1), (2, 2), (3, 1)])
def test_a_report_has_all_sections_and_loads_nothing(tmp_path, ndim, channels):
    directory = finished(tmp_path / "run", ndim, channels)
    text = write_report(directory).read_text()
    checker = Checker()
    checker.feed(text)
    assert not checker.open and len(set(checker.ids)) == len(checker.ids)
    assert all(address.startswith(("data:", "#")) for address in checker.loads)
    assert not re.search(r"https?://|@import|<script|<iframe", text) and "nan" not in re.findall(r">nan<", text)
    wanted = [
        "Errors on test data",
        "Loss during training",
        "Error over",
        "Error against resolution",
        "Where the error lies",
    ]
    wanted += [
        "Best of 7",
        "Median of 7",
        "Worst of 7",
        "How to repeat it",
        "pdejax run x.yaml",
        "Resolved config",
        "Versions",
    ]
    wanted += ["prefers-color-scheme: dark", "0 0 "]
    assert not [words for words in wanted if words not in text]
    assert len(text) < 3_000_000
    names = {path.stem for path in directory.figures.glob("*.png")}
    assert {"losses", "histogram", "resolution", "spectrum", "sample-best-0-input", "sample-worst-0-error"} <= names


def test_a_run_without_tests_has_a_report_too(tmp_path):
    directory = finished(tmp_path / "run", 1)
    directory.evaluation.unlink()
    directory.samples.unlink()
    assert "Loss during training" in write_report(directory).read_text()


def test_runs_are_compared_in_one_table(tmp_path):
    runs = [finished(tmp_path / f"seed={seed}", 1, seed=seed) for seed in (0, 1)]
    text = write_comparison(runs, tmp_path / "comparison.html").read_text()
    assert "seed=0" in text and "seed=1" in text and "model.width" in text and "Validation loss" in text
    assert not re.search(r"https?://", text)


def test_energy_of_a_wave_is_in_its_shell():
    x = np.arange(32) / 32
    k, energy = shell_energy(np.sqrt(2) * np.cos(2 * np.pi * 5 * x)[None, None], [True])
    assert k[np.argmax(energy)] == 5 and np.isclose(energy[5], 1)


def test_the_metrics_log_drops_steps_that_are_computed_again(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        log.append({"step": step, "train_loss": float("inf") if step == 1 else 1.0})
    with log.jsonl.open("a") as file:
        file.write('{"step": 4, "tr')
    again = MetricsLog(tmp_path / "metrics.jsonl", keep_until=2)
    again.append({"step": 3, "train_loss": 0.5})
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3] and rows[0]["train_loss"] is None
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 4


def test_a_directory_in_use_is_left_alone(tmp_path):
    directory = finished(tmp_path / "run", 1)
    before = directory.config.read_text()
    with pytest.raises(ConfigError, match="overwrite=true"):
        directory.claim(False, False)
    with pytest.raises(ConfigError, match="one of the two"):
        directory.claim(True, True)
    (directory.path / "notes.txt").write_text("mine")
    assert directory.config.read_text() == before and directory.claim(False, True)
    directory.claim(True, False)
    assert {path.name for path in directory.path.iterdir()} == {"notes.txt", "run.json"}
    directory.record.unlink()
    with pytest.raises(ConfigError, match="holds notes.txt but no run"):
        directory.claim(False, False)
