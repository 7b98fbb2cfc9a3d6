"""The structure of the house: import direction, public names, and the few rules that a machine can check."""

import ast
import importlib
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pdejax"
FILES = sorted(PACKAGE.rglob("*.py"))

FLOORS = {
    "grids": 0,
    "meshes": 0,
    "fields": 1,
    "calculus": 1,
    "equations": 2,
    "solvers": 3,
    "data": 3,
    "verify": 3,
    "nn": 4,
    "operators": 5,
    "objectives": 5,
    "training": 6,
    "experiment": 7,
    "__main__": 8,
}
# Who may import a sibling on the same floor. The calculus is what can be done to fields, so it knows them.
SIBLINGS = {("data", "solvers"), ("verify", "solvers"), ("calculus", "fields")}
# These speak to a person on a terminal and load heavy modules only when a command needs them.
FRONT_END = ("__main__", "experiment")


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def home(path: Path) -> str:
    """The sub-package (or top-level module) that a file belongs to; empty for `pdejax/__init__.py`."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and sub-package of every import from inside pdejax, relative ones resolved."""
    package = ("pdejax", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            # `from pdejax import grids` names the sub-package in the alias
            modules = [base + [alias.name] for alias in node.names] if base == ["pdejax"] else [base]
        else:
            continue
        for module in modules:
            if module[0] == "pdejax":
                yield node.lineno, module[1] if len(module) > 1 else ""


def subpackages() -> list[str]:
    return sorted(p.parent.name for p in PACKAGE.glob("*/__init__.py") if not p.parent.name.startswith("_"))


def public(name: str) -> dict[str, object]:
    """What a sub-package exports."""
    members = vars(importlib.import_module(f"pdejax.{name}"))
    return {key: value for key, value in members.items() if not key.startswith("_") and not inspect.ismodule(value)}


def test_every_subpackage_has_a_floor():
    unknown = [name for name in subpackages() if name not in FLOORS]
    assert not unknown, f"give {unknown} a floor in tests/test_house.py and in the design"


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_imports_go_down(path: Path):
    source = home(path)
    if source == "":
        return  # the front door re-exports all floors
    wrong = []
    for line, target in imported(path):
        if target == source or (target not in FLOORS and target.startswith("_")):
            continue  # inside one package, or a private top-level module below all floors
        if source not in FLOORS and source.startswith("_"):
            wrong.append(f"line {line}: a private top-level module imports {target or 'pdejax itself'}")
        elif target == "":
            if source not in FRONT_END:
                wrong.append(f"line {line}: imports pdejax itself; name the sub-package")
        elif target not in FLOORS:
            wrong.append(f"line {line}: {target!r} has no floor")
        elif FLOORS[target] >= FLOORS[source] and (source, target) not in SIBLINGS:
            wrong.append(f"line {line}: {source} (floor {FLOORS[source]}) imports {target} (floor {FLOORS[target]})")
    assert not wrong, f"{identify(path)}: " + "; ".join(wrong)


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_the_library_does_not_print(path: Path):
    if home(path) in FRONT_END:
        return
    lines = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == "print")
            or (isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "jax.debug.print")
        )
    ]
    assert not lines, f"{identify(path)} prints on lines {lines}; return the information instead"


def looks_like_code(comment: str) -> bool:
    """Whether a comment that stands on its own line parses as a statement that does something."""
    text = comment.lstrip("#").strip()
    if text.endswith(":"):
        text += " pass"
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError):
        return False
    does_something = (
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.ClassDef,
        ast.For,
        ast.While,
        ast.If,
        ast.With,
        ast.Return,
        ast.Raise,
        ast.Assert,
        ast.Delete,
    )
    for statement in statements:
        value = getattr(statement, "value", None)
        # prose can read `k = 2` or `O(n)`; code calls something and keeps or drops the result
        assigns_call = isinstance(statement, ast.Assign | ast.AugAssign) and isinstance(value, ast.Call)
        method_call = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and bool(value.args)
        if isinstance(statement, does_something) or assigns_call or (isinstance(statement, ast.Expr) and method_call):
            return True
    return False


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_no_code_is_commented_out(path: Path):
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    dead = [
        f"line {token.start[0]}: {token.string}"
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
        and lines[token.start[0] - 1].lstrip().startswith("#")
        and looks_like_code(token.string)
    ]
    assert not dead, f"{identify(path)}: " + "; ".join(dead)


def test_the_comment_heuristic_tells_code_from_prose():
    code = ["# x = jnp.sum(y)", "# return u", "# import jax", "# for k in range(3):", "# self.setup(3)"]
    prose = ["# O(n)", "# k = 2 here", "# see Trefethen (2000)", "# u_t = -u u_x", "# noqa: B008", "# real", "# note:"]
    assert [looks_like_code(c) for c in code] == [True] * len(code)
    assert [looks_like_code(c) for c in prose] == [False] * len(prose)


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_no_dimension_in_public_names(path: Path):
    names = [
        node.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    bad = [name for name in names if re.search(r"[123][dD]", name)]
    assert not bad, f"{identify(path)}: {bad} spell a dimension; write the code for any dimension"


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_no_super(path: Path):
    lines = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    ]
    assert not lines, f"{identify(path)} calls super() on lines {lines}; classes are abstract or final, wrap instead"


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_no_hidden_imports(path: Path):
    if home(path) in FRONT_END:
        return
    lazy = path.name == "__init__.py"  # a package may load its members on first use
    hidden = [
        f"line {inner.lineno} in {node.name}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not (lazy and node.name == "__getattr__")
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert not hidden, f"{identify(path)} imports inside functions: {hidden}; move the import to the top of the file"


@pytest.mark.parametrize("name", subpackages())
def test_public_names_have_docstrings(name: str):
    bare = []
    for key, value in public(name).items():
        if inspect.isclass(value) or callable(value):
            text = (vars(value) if inspect.isclass(value) else {"__doc__": value.__doc__}).get("__doc__") or ""
            # a dataclass without a docstring gets its signature for one
            if not text.strip() or text.startswith(f"{key}("):
                bare.append(key)
    assert not bare, f"pdejax.{name}: {bare} have no docstring; say in one sentence what they are, then the equation"


@pytest.mark.parametrize("name", subpackages())
def test_every_subpackage_has_an_api_page(name: str):
    page = ROOT / "docs" / "api" / f"{name}.md"
    assert page.is_file(), f"add docs/api/{name}.md with the line '::: pdejax.{name}', and name it in mkdocs.yml"
    text = page.read_text(encoding="utf-8")
    if re.search(rf"^::: pdejax\.{name}$", text, re.MULTILINE):
        return  # the whole package is rendered
    missing = [key for key in public(name) if f"pdejax.{name}.{key}" not in text]
    assert not missing, f"docs/api/{name}.md does not show {missing}"


def test_private_files_are_exported_by_their_package():
    """Users import from packages, so modules inside a package are private files."""
    loose = [
        identify(path)
        for path in FILES
        if len(path.relative_to(PACKAGE).parts) > 1 and home(path) not in FRONT_END and not path.name.startswith("_")
    ]
    assert not loose, f"{loose}: name the file _<name>.py and re-export its names in the package's __init__.py"
