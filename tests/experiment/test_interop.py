"""Models of other libraries in the runner."""

from pathlib import Path

import pytest

from pdejax.experiment._cli import main
from pdejax.training import load_model

ROOT = Path(__file__).parents[2]
SMALL = ["variables.resolution=9", "variables.fine=17", "data.train.samples=7", "data.validation=1"]
SMALL += ["data.test.samples=2", "data.transfer.twice.samples=2", "model.make.width=4", "training.batch_size=3"]


@pytest.mark.slow
def test_a_flax_network_is_trained_tested_and_loaded(tiny, capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    command = ["run", str(ROOT / "configs" / "interop" / "flax_unet.yaml"), "training.steps=4", *SMALL]
    assert main(command) == 0 and main([*command, "resume=true"]) == 0
    assert "needs no more steps" in capsys.readouterr().out
    assert main(["evaluate", "runs/flax_unet"]) == 0 and main(["info", "runs/flax_unet"]) == 0
    assert "17 x 17         resampled by its basis" in capsys.readouterr().out
    assert load_model("runs/flax_unet/model.eqx").model.module.__name__ == "UNet"
