import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree
from orbax.checkpoint import checkpoint_managers as managers

# A loss that JSON can hold and no known one exceeds.
_UNKNOWN = float(np.finfo(np.float64).max)


class Checkpoints:
    """Saved states of a run in a directory: the newest `keep` and the best, each written whole or not at all.

    **Arguments:** `directory`, made if it is not there; `keep`, how many of the newest stay; `every`, least number of
    steps between two saves (None: every logging interval is saved; the end of a run always is).

    **Raises** `ValueError` for `keep` or `every` below 1.
    """

    def __init__(self, directory: str | Path, keep: int = 2, every: int | None = None):
        for name, value in (("keep", keep), ("every", every)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"Checkpoints needs {name} to be an integer >= 1, got {value!r}; write {name}=2.")
        self.directory, self.every = Path(directory).absolute(), every or 1
        best = managers.BestN(get_metric_fn=_loss, reverse=True, n=1, keep_checkpoints_without_metrics=False)
        policy = managers.AnyPreservationPolicy([managers.LatestN(keep), best])
        # Saved before the call returns: the buffers are given to the next interval at once, and a run may be killed in
        # it.
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy, best_fn=_loss, best_mode="min", enable_async_checkpointing=False, create=True
        )
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._manager = ocp.CheckpointManager(self.directory, options=options)

    @property
    def latest_step(self) -> int | None:
        """Step of the newest saved state, None if there is none."""
        return self._manager.latest_step()

    @property
    def best_step(self) -> int | None:
        """Step of the saved state with the lowest loss, None if there is none."""
        return self._manager.best_step()

    def save(self, step: int, state: PyTree, extra: Mapping[str, Any] | None = None, loss: float | None = None) -> None:
        """Write a state. `extra` holds plain values (JSON); `loss` decides which state is the best."""
        leaves = _named_leaves(state)
        form = {name: [list(np.shape(leaf)), str(leaf.dtype)] for name, leaf in leaves.items()}
        content = ocp.args.Composite(
            state=ocp.args.StandardSave({str(i): np.asarray(leaf) for i, leaf in enumerate(leaves.values())}),
            extra=ocp.args.JsonSave({"leaves": form, "extra": dict(extra or {})}),
        )
        known = _UNKNOWN if loss is None or not np.isfinite(loss) else float(loss)
        self._manager.save(step, args=content, metrics={"loss": known}, force=True)

    def restore(self, template: PyTree, step: int | None = None) -> tuple[PyTree, dict[str, Any]] | None:
        """The newest state (or that of a step) in the form of `template`, and its `extra`; None if nothing is saved.

        **Raises** `ValueError` if the saved state belongs to another model or optimiser.
        """
        step = self.latest_step if step is None else step
        if step is None:
            return None
        wanted = _named_leaves(template)
        notes = self._manager.restore(step, args=ocp.args.Composite(extra=ocp.args.JsonRestore()))["extra"]
        _check_form(
            notes["leaves"], {name: [list(np.shape(v)), str(v.dtype)] for name, v in wanted.items()}, self.directory
        )
        form = {str(i): np.zeros(np.shape(leaf), leaf.dtype) for i, leaf in enumerate(wanted.values())}
        found = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(form)))["state"]
        leaves = [jax.numpy.asarray(found[str(i)]) for i in range(len(wanted))]
        return jax.tree.unflatten(jax.tree.structure(template), leaves), notes["extra"]


def _loss(metrics: Mapping[str, float]) -> float:
    return metrics["loss"]


def _named_leaves(tree: PyTree) -> dict[str, Any]:
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _check_form(saved: dict, wanted: dict, directory: Path) -> None:
    for name in dict.fromkeys([*wanted, *saved]):
        if saved.get(name) != wanted.get(name):
            came, want = (_words(name, form.get(name)) for form in (saved, wanted))
            raise ValueError(
                f"the checkpoints in {directory} are of another run: they hold {came} where this model and optimiser "
                f"have {want}; build the model and the optimiser that were saved, or use another folder."
            )


def _words(name: str, form: list | None) -> str:
    return f"no {name}" if form is None else f"{name} of shape {tuple(form[0])} {form[1]}"
