"""`report.html` of one run: everything a reader needs to judge and repeat it, in one file."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from . import _page as page
from ._directory import RunDirectory
from ._errors import ConfigError
from ._progress import clock
from ._render import Draw, render
from ._solution_report import solution_parts
from ._training_report import training_parts


def write_report(directory: RunDirectory) -> Path:
    """Write `report.html` and `figures/*.png` from the files of the run; returns the path of the report."""
    record = directory.read_record()
    parts = solution_parts if record.get("kind") == "solve" else training_parts

    def draw(name: str, drawing: Draw, size: tuple[float, float]) -> str:
        return render(drawing, size, directory.figures / f"{name}.png")

    body = [*_header(record), *parts(directory, record, draw), *_origin(directory, record)]
    directory.report.write_text(
        page.page(f"{record.get('name', directory.path.name)} - pdejax", body), encoding="utf-8"
    )
    return directory.report


def _header(record: dict[str, Any]) -> Iterator[str]:
    state = record.get("state", "unknown")
    facts = [state.capitalize(), f"started {record.get('started', '-')}", clock(record.get("seconds"))]
    if state != "finished" and record.get("step") is not None:
        facts[0] += f" at step {record['step']} of {record['steps']}"
    yield f"<header><h1>{escape(record.get('name', 'run'))}</h1><p>{escape(record.get('summary', ''))}</p>"
    yield f"<p>{escape(' · '.join(facts))}</p></header>"


def _origin(directory: RunDirectory, record: dict[str, Any]) -> Iterator[str]:
    yield "<h2>How to repeat it</h2>"
    yield page.code(record.get("command", ""))
    rows = [["seed", str(record.get("seed", "-"))], ["git commit", str(record.get("commit") or "not a git checkout")]]
    hardware = record.get("hardware", {})
    rows += [
        ["processor", f"{hardware.get('processor', '-')}, {hardware.get('cores', '-')} cores"],
        ["jax devices", f"{hardware.get('backend', '-')}: {', '.join(hardware.get('devices', []))}"],
    ]
    rows += [["precision", record.get("precision", "float32")]]
    rows += [[name, text] for name, text in record.get("data", {}).items()]
    yield page.table(["", ""], rows, numeric=False)
    yield page.details(
        "Versions", "\n".join(f"{name:<18} {version}" for name, version in record.get("versions", {}).items())
    )
    if directory.config.is_file():
        yield page.details("Resolved config", directory.config.read_text())
    yield "<footer>Written by pdejax. The numbers behind the pictures lie beside this file.</footer>"


def check_reportable(directory: RunDirectory) -> None:
    """Raise `ConfigError` for a run that has written nothing to report."""
    if not directory.metrics.is_file() and not directory.solution.is_file():
        raise ConfigError(f"{directory.path} has nothing to report yet: let `pdejax run` log at least one interval.")
