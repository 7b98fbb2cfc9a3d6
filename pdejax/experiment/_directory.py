"""The folder of one run: who may write into it, and what lies where."""

import json
import os
import shlex
import shutil
import socket
from pathlib import Path
from typing import Any

from ._errors import ConfigError

_OWNED_FILES = (
    "config.yaml",
    "run.json",
    "metrics.jsonl",
    "metrics.csv",
    "model.eqx",
    "evaluation.json",
    "card.json",
    "solution.h5",
    "report.html",
    "run.log",
)
_OWNED_FOLDERS = ("checkpoints", "figures", "evaluations")


class RunDirectory:
    """`runs/<name>/` with its files; `run.json` tells the state: running, interrupted, failed or finished."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.record = self.path / "run.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model.eqx"
        self.evaluation = self.path / "evaluation.json"
        self.card = self.path / "card.json"
        self.evaluations = self.path / "evaluations"
        self.figures = self.path / "figures"
        self.samples = self.path / "figures" / "samples.npz"
        self.rollouts = self.path / "figures" / "rollouts.npz"
        self.solution = self.path / "solution.h5"
        self.report = self.path / "report.html"
        self.log = self.path / "run.log"

    @classmethod
    def existing(cls, path: str | Path) -> "RunDirectory":
        """The directory of a run that was started before; `ConfigError` when there is none."""
        directory = cls(path)
        if not directory.path.is_dir():
            raise ConfigError(
                f"no run directory {directory.path} (working directory {Path.cwd()}): write the folder `pdejax run` "
                f"made, as runs/<name>."
            )
        if not directory.record.is_file():
            below = sorted(found.parent.name for found in directory.path.glob("*/run.json"))
            hint = (
                f"it holds the runs {', '.join(below)}; name one of them"
                if below
                else "write the folder `pdejax run` made, as runs/<name>"
            )
            raise ConfigError(f"{directory.path} is not a run directory (it has no run.json): {hint}.")
        return directory

    def read_record(self) -> dict[str, Any]:
        """What `run.json` says, or an empty dictionary before the first start."""
        if not self.record.is_file():
            return {}
        try:
            return json.loads(self.record.read_text())
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"{self.record} is not readable as JSON ({error}): start the run anew with overwrite=true."
            ) from error

    def write_record(self, **changes: Any) -> None:
        """Update `run.json` in one step, so that a crash never leaves half of it."""
        write_json(self.record, self.read_record() | changes)

    @property
    def state(self) -> str | None:
        """`running`, `interrupted`, `failed`, `finished`, or None where no run was started."""
        return self.read_record().get("state")

    def permit(self, overwrite: bool, resume: bool) -> None:
        """Raise `ConfigError` rather than let a run touch anything already written without being told to."""
        state = self.state
        if state == "running" and self._in_use():
            raise ConfigError(
                f"{self.path} is being written by process {self.read_record()['process']}: "
                "stop it first, or write name=... for another run."
            )
        if resume and overwrite:
            raise ConfigError("resume=true continues a run and overwrite=true starts it anew: write one of the two.")
        if state is None:
            strangers = sorted(child.name for child in self.path.iterdir()) if self.path.is_dir() else []
            if strangers and not set(strangers) <= {".cache", ".hydra"}:
                raise ConfigError(
                    f"{self.path} holds {strangers[0]} but no run: choose another folder with output=... or name=...."
                )
        elif not (resume or overwrite):
            what = {"finished": "a finished run", "running": "a run that is going on or was killed"}.get(
                state, "an interrupted or failed run"
            )
            go_on = "" if state == "finished" else "resume=true to go on with it, "
            raise ConfigError(
                f"{self.path} holds {what}: write {go_on}overwrite=true to start anew, or name=... to keep both."
            )

    def _in_use(self) -> bool:
        record = self.read_record()
        if record.get("host") != socket.gethostname() or record.get("process") in (None, os.getpid()):
            return False
        # Process numbers are used again: only another pdejax counts. Where there is no /proc, nothing is known.
        line = Path(f"/proc/{record['process']}/cmdline")
        return line.is_file() and b"pdejax" in line.read_bytes()

    def claim(self, overwrite: bool, resume: bool) -> bool:
        """Take the directory for a run; True when an earlier run is to be continued."""
        self.permit(overwrite, resume)
        if overwrite and self.state is not None:
            self.clear()
        self.path.mkdir(parents=True, exist_ok=True)
        continued = resume and self.state is not None
        self.write_record(state="running", process=os.getpid(), host=socket.gethostname())
        return continued

    def clear(self) -> None:
        """Remove the files of the earlier run, and only those."""
        for name in _OWNED_FILES:
            (self.path / name).unlink(missing_ok=True)
        for name in _OWNED_FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON through a temporary file, so that readers see the old or the new text and nothing between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.replace(path)


def repeat_command(arguments: list[str]) -> str:
    """The command that does a run anew, without what it says about an earlier one."""
    return shlex.join(["pdejax", *(text for text in arguments if text.split("=")[0] not in ("resume", "overwrite"))])


def resume_command(arguments: list[str]) -> str:
    """The command that continues a run started with `arguments`."""
    return f"{repeat_command(arguments)} resume=true"
