"""Floor 7: the runner, from a config file to objects, a run, its checkpoints and its report."""

from ._cli import main as main
from ._errors import ConfigError as ConfigError
from ._errors import Interrupted as Interrupted
from ._run import run as run
