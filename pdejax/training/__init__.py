"""Floor 6: training loops, checkpoints, evaluation and model files."""

from ._checkpoints import Checkpoints as Checkpoints
from ._evaluate import Evaluation as Evaluation
from ._evaluate import evaluate as evaluate
from ._fit import FitResult as FitResult
from ._fit import Progress as Progress
from ._fit import fit as fit
from ._model_file import load_model as load_model
from ._model_file import save_model as save_model
from ._state import RunState as RunState
