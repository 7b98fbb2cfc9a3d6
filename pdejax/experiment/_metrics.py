"""The log of a training: one line per logging interval, as JSONL and as CSV."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLUMNS: tuple[str, ...] = ("step", "epoch", "train_loss", "validation_loss", "learning_rate", "rate", "seconds")


class MetricsLog:
    """Appends the metrics of each logging interval to `metrics.jsonl` and `metrics.csv`, flushed line by line."""

    def __init__(self, path: Path, keep_until: int | None = None):
        self.jsonl, self.csv = path, path.with_suffix(".csv")
        # A killed run may have logged steps beyond its last checkpoint: they are computed again, so drop them.
        rows = [] if keep_until is None else [row for row in read_metrics(path) if row.get("step", 0) <= keep_until]
        self.jsonl.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with self.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
        self.last_seconds = rows[-1].get("seconds", 0.0) or 0.0 if rows else 0.0

    def append(self, metrics: Mapping[str, Any]) -> None:
        """Write one interval; numbers that are not finite become null."""
        row = {key: _plain(value) for key, value in metrics.items()}
        with self.jsonl.open("a") as file:
            file.write(json.dumps(row) + "\n")
        with self.csv.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, extrasaction="ignore", restval="").writerow(
                {k: "" if v is None else v for k, v in row.items()}
            )


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All complete lines of a metrics log; a last line cut off by a crash is left out."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value)
    return number if math.isfinite(number) else None
