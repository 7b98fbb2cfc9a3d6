"""Progress of a training: a live bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn


def clock(seconds: float | None) -> str:
    """A duration as people write it: `45 s`, `3:05`, `1:02:03`."""
    if seconds is None or not seconds < 1e8:
        return "--"
    whole = int(round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def number(value: Any) -> str:
    """A loss in four significant digits, a dash where there is none."""
    return "-" if value is None else f"{float(value):.4g}"


class Meter:
    """Shows steps, rate, losses and the time left; calls `on_update` with every interval's metrics.

    On a terminal a bar is redrawn in place; otherwise one line is written at most every
    `interval` seconds, and always at the start and the end.
    """

    def __init__(self, console: Console, on_update: Callable[[Mapping[str, Any]], None], interval: float = 10.0):
        self.console, self.on_update, self.interval = console, on_update, interval
        self.total, self.began, self.first, self.last_line = 0, 0.0, None, -1e9
        self.bar: Progress | None = None
        self.task: Any = None

    def start(self, total: int) -> None:
        """Begin a training of `total` steps."""
        self.total, self.began = total, time.monotonic()
        if self.console.is_terminal:
            columns = [
                SpinnerColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f} steps"),
                BarColumn(bar_width=None),
            ]
            fields = [TextColumn("{task.fields[rate]}")]
            fields += [TextColumn(f"[dim]{name}[/] {{task.fields[{name}]}}") for name in ("loss", "validation", "left")]
            bar = self.bar = Progress(*columns, *fields, console=self.console)
            self.task = bar.add_task("training", total=total, rate="compiling", loss="-", validation="-", left="--")
            bar.start()
        else:
            self.console.print(f"training for {total} steps; compiling first")

    def update(self, step: int, metrics: Mapping[str, Any], rate: float | None = None) -> None:
        """Record the interval that ended at `step`; `rate` is in steps per second."""
        if self.first is None:
            self.first = (step, time.monotonic())
        left = (self.total - step) / rate if rate else None
        shown: dict[str, Any] = {
            "rate": f"{rate:.3g} steps/s" if rate else "-",
            "loss": number(metrics.get("train_loss")),
            "validation": number(metrics.get("validation_loss")),
            "left": clock(left),
        }
        if self.bar is not None:
            self.bar.update(self.task, completed=step, **shown)
        elif time.monotonic() - self.last_line >= self.interval or step >= self.total:
            self.last_line = time.monotonic()
            self.console.print(
                f"step {step}/{self.total}  loss {shown['loss']}  validation {shown['validation']}  "
                f"{shown['rate']}  left {shown['left']}"
            )
        self.on_update({"step": step, "rate": rate} | dict(metrics))

    def close(self) -> None:
        """Leave the terminal as it was; safe to call twice."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class Counter:
    """Shows how many of the samples of a data set are made; called as `counter(done, total)`."""

    def __init__(self, console: Console, interval: float = 10.0):
        self.console, self.interval = console, interval
        self.last_line = time.monotonic()
        self.first: tuple[int, float] | None = None
        self.bar: Progress | None = None
        self.task: Any = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.first is None:
            # The first samples include the compilation, which says nothing about the rest.
            self.first = (done, now)
        made, began = self.first
        left = clock((now - began) / (done - made) * (total - done) if done > made else None)
        if not self.console.is_terminal:
            if now - self.last_line >= self.interval and done < total:
                self.last_line = now
                self.console.print(f"samples {done}/{total}  left {left}")
            return
        bar = self.bar
        if bar is None:
            columns = [
                SpinnerColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f} samples"),
                BarColumn(bar_width=None),
            ]
            bar = self.bar = Progress(
                *columns, TextColumn("[dim]left[/] {task.fields[left]}"), console=self.console, transient=True
            )
            self.task = bar.add_task("generating", total=total, left=left)
            bar.start()
        bar.update(self.task, completed=done, left=left)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Leave the terminal as it was; safe to call twice."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
