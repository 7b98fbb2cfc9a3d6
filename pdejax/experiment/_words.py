"""Small pieces of text shared by tables, captions and messages."""

from collections.abc import Mapping
from typing import Any

_WORDS = {
    "relative_l2": "relative L2 error",
    "relative_h1": "relative H1 error",
    "max_error": "largest absolute error",
}


def metric_words(metric: str) -> str:
    """A metric in words."""
    return _WORDS.get(metric, metric.replace("_", " "))


def by_grid(shape: Any) -> str:
    """A grid's sizes as `29 x 29`."""
    return " x ".join(str(int(n)) for n in shape)


def dotted(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested mappings by dotted name."""
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    parts = ((f"{prefix}.{name}" if prefix else str(name), child) for name, child in tree.items())
    return {name: leaf for key, child in parts for name, leaf in dotted(child, key).items()}
