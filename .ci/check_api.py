"""Check that the built site documents every public name: python .ci/check_api.py site/objects.inv"""

import importlib
import inspect
import pkgutil
import sys
import zlib
from pathlib import Path

import pdejax


def documented(inventory: Path) -> set[str]:
    """Names in a Sphinx inventory: four header lines, then zlib-compressed lines that start with the name."""
    body = inventory.read_bytes().split(b"\n", 4)[4]
    return {line.split(" ", 1)[0] for line in zlib.decompress(body).decode().splitlines()}


def public_names() -> set[str]:
    """Every `pdejax.<package>.<Name>` that a package's `__init__` exports."""
    names = set()
    for info in pkgutil.iter_modules(pdejax.__path__):
        if info.ispkg and not info.name.startswith("_"):
            package = importlib.import_module(f"pdejax.{info.name}")
            names |= {
                f"pdejax.{info.name}.{name}"
                for name, value in vars(package).items()
                if not name.startswith("_") and not inspect.ismodule(value)
            }
    return names


missing = sorted(public_names() - documented(Path(sys.argv[1])))
if missing:
    sys.exit("the API pages do not show: " + ", ".join(missing))
