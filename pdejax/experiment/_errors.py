"""The errors a user of the command line can cause, each of them one sentence."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A config, an override or a run directory that cannot be used as given; the message says what to write."""


class Interrupted(KeyboardInterrupt):
    """A run stopped by Ctrl-C or a termination signal after its state was saved."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause naming the known word nearest to `name`, or the words there are when none is near."""
    words = list(known)
    close = difflib.get_close_matches(name, words, n=1, cutoff=0.5)
    if close:
        return f"the nearest name is '{close[0]}'"
    return "the names are " + ", ".join(sorted(words)) if words else "no names are known here"


def sentence(error: BaseException) -> str:
    """What an exception says, on one line and without the advice on debugging that some libraries append."""
    # Errors raised inside compiled code carry the stack outside and inside of it, then the message, then a rule.
    text = str(error).rpartition("EquinoxRuntimeError: ")[2].split("\n-----")[0]
    return " ".join(text.split()) or type(error).__name__
