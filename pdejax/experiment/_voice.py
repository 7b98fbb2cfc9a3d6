"""What a command says: to the terminal and, with the time, to `run.log`."""

import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text


class Voice:
    """Writes lines to a console and appends them to a log file once there is one."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._log: Path | None = None

    def log_to(self, path: Path) -> None:
        """Append everything said from now on to `path`."""
        self._log = path

    def say(self, text: str, style: str | None = None) -> None:
        """Write a line."""
        self.console.print(Text(text, style=style or ""))
        self.note(text)

    def note(self, text: str) -> None:
        """Write a line to the log alone."""
        if self._log is not None:
            stamp = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{stamp}  {text}\n")
