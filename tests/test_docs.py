"""The code on the pages runs: the blocks of a page share one namespace, in a process of its own."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pdejax as pj

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md",
    "docs/tour.md",
    "docs/equation.md",
    "docs/time-stepping.md",
    "docs/steady.md",
    "docs/operators.md",
    "docs/implicit-layers.md",
    "docs/flax.md",
    "docs/gallery.md",
]
COMMANDS = [
    "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/pdejax run configs/quickstart.yaml",
    'python3 -m venv .venv && .venv/bin/pip install -e ".[test]" && .venv/bin/python -m pytest',
]


def code(page: str) -> str:
    """The ```python blocks of a page; everything else becomes empty lines, so that tracebacks give the page's lines."""
    lines, inside = [], False
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        fence = line.startswith("```")
        lines.append(line if inside and not fence else "")
        inside = not inside and line.rstrip() == "```python" if fence else inside
    return "\n".join(lines) + "\n"


LONG = {"docs/steady.md", "docs/time-stepping.md", "docs/implicit-layers.md"}


@pytest.mark.parametrize("page", [pytest.param(p, marks=pytest.mark.slow) if p in LONG else p for p in PAGES])
def test_page_runs(page: str, tmp_path: Path):
    script = tmp_path / (page.replace("/", "_") + ".py")
    script.write_text(code(page), encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        # a reader's settings, not the tests': float32 and one CPU
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "0",
    }
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"the code of {page} fails (line numbers are the page's):\n{done.stderr[-4000:]}"


def test_the_equation_page_checks_itself_and_stays_short():
    module = ast.parse(code("docs/equation.md"))
    assert sum(isinstance(node, ast.Assert) for node in module.body) >= 3
    (equation,) = (node for node in module.body if isinstance(node, ast.ClassDef))
    assert equation.end_lineno - equation.lineno + 1 <= 10


def test_the_gallery_shows_every_equation():
    equations = {
        name
        for name, value in vars(pj.equations).items()
        if inspect.isclass(value) and issubclass(value, pj.equations.AbstractEquation) and not inspect.isabstract(value)
    } - {"Closed", "Forced"}
    rows = re.findall(
        r"^\| !\[(\w+)\]\(gallery/\1\.png\).*\[\1\]\[pdejax\.equations\.\1\]",
        (ROOT / "docs/gallery.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert sorted(rows) == sorted(equations), "run docs/gallery.py with the names of the equations that changed"
    pictures = {path.stem: path.stat().st_size for path in (ROOT / "docs/gallery").glob("*.png")}
    assert set(pictures) == equations
    assert max(pictures.values()) < 25_000 and sum(pictures.values()) < 1_200_000


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_has_the_commands_of_a_newcomer(command: str):
    assert command in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "experiments/cluster/README.md"])
def test_links_between_files_lead_somewhere(page: str):
    path = ROOT / page
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing, f"{page} links to {missing}"
