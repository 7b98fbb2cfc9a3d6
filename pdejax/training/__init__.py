"""Floor 6: training loops, checkpoints, evaluation and model files."""

from ._checkpoints import Checkpoints as Checkpoints
from ._evaluate import Evaluation as Evaluation
from ._evaluate import evaluate as evaluate
from ._evaluate_rollout import RolloutEvaluation as RolloutEvaluation
from ._evaluate_rollout import Spectra as Spectra
from ._evaluate_rollout import evaluate_rollout as evaluate_rollout
from ._fit import FitResult as FitResult
from ._fit import Progress as Progress
from ._fit import fit as fit
from ._model_file import load_model as load_model
from ._model_file import save_model as save_model
from ._rollout import PushForward as PushForward
from ._rollout import Rollout as Rollout
from ._rollout import normalised as normalised
from ._rollout import of_length as of_length
from ._rollout import one_step as one_step
from ._rollout import rollout as rollout
from ._state import RunState as RunState
