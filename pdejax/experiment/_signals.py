"""Ctrl-C and termination signals: said to the user, and remembered by name."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self


class StopSignals:
    """While entered, the first SIGINT or SIGTERM is announced and kept in `received`; a second one acts as before.

    The training that runs inside installs its own handler, calls this one, and ends at its next saved state.
    """

    def __init__(self, announce: Callable[[str], None]):
        self.announce = announce
        self.received: str | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread may set handlers; elsewhere (a launcher's thread) signals keep their usual meaning.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        self._restore()
        self.announce(f"{self.received}: stopping after this interval, once the state is saved (again to stop at once)")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
