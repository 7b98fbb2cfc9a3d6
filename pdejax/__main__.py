"""Entry point of the command line: `pdejax` and `python -m pdejax`."""

import os
import sys

from .experiment._cli import main as _main


def main() -> None:
    """Run the command line and exit with its status."""
    # Configs name classes of the working directory, which `python -m pdejax` finds and an installed script does not.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    status = _main()
    if status >= 128:
        # Stopped by a signal: computations may still be in flight, and tearing the interpreter down under them crashes.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    main()
