"""The arrays of a data set as the fields of The Well's layout, and the plan that reads them back."""

from typing import Any, NamedTuple

import numpy as np

from ._dataset import Dataset
from ._grid_text import described
from ._trajectories import Trajectories


class Field(NamedTuple):
    """An array with axes `(sample, [time], *space, [component])`, and how many axes of components it has."""

    values: np.ndarray
    timed: bool
    order: int


def fields_of(dataset: Dataset | Trajectories) -> tuple[dict[str, Field], list[float], dict[str, Any]]:
    """Fields by name, the times of the file, and the plan.

    **Raises** `ValueError` for grids or names that do not fit the layout.
    """
    plan: dict[str, Any] = dict(name=dataset.name, metadata=dataset.metadata)
    if isinstance(dataset, Dataset):
        return _pairs(dataset, plan)
    times = dataset.times.tolist()
    values = np.moveaxis(np.asarray(dataset.values), 2, 1)
    fields = _named(dataset.metadata.get("names"), "field", values, dataset.grid.ndim)
    order = dataset.grid.ndim + 2
    return (
        {name: Field(v, True, v.ndim - order) for name, v in fields.items()},
        times,
        plan | dict(fields=list(fields), times=times),
    )


def _pairs(dataset: Dataset, plan: dict[str, Any]) -> tuple[dict[str, Field], list[float], dict[str, Any]]:
    facts, ndim = dataset.metadata, dataset.grid.ndim
    trajectory = dataset.target_grid.names == ("t", *dataset.grid.names)
    if "t" in dataset.grid.names or not (trajectory or dataset.target_grid.same_nodes(dataset.grid)):
        raise ValueError(
            f"The Well's layout has one space grid and time first, got inputs on {dataset.grid} and targets on "
            f"{dataset.target_grid}; write targets on the grid of the inputs, or on Grid(t=..., followed by its "
            "axes)."
        )
    inputs = _named(facts.get("input_names"), "input", np.asarray(dataset.inputs), ndim)
    targets = _named(facts.get("target_names"), "target", np.asarray(dataset.targets), ndim)
    times = [float(t) for t in facts.get("times", [0.0])]
    evolution = list(inputs) == list(targets) and len(times) == 2 and not trajectory
    plan |= dict(inputs=list(inputs), targets=list(targets), input_time=None, target_time=None)
    plan |= dict(target_grid=described(dataset.target_grid))
    if evolution:
        fields = {name: np.stack([inputs[name], targets[name]], axis=1) for name in inputs}
        plan |= dict(input_time=0, target_time=1)
    else:
        twice = sorted(set(inputs) & set(targets))
        if twice:
            raise ValueError(
                f"field {twice[0]!r} is both input and target, which needs two times; give metadata times=[t0, t1] "
                "or other names."
            )
        fields = inputs | targets
        times = dataset.target_grid.axis("t").points.tolist() if trajectory else times[:1]
    timed = {name: evolution or (trajectory and name in targets) for name in fields}
    return {n: Field(v, timed[n], v.ndim - 1 - ndim - int(timed[n])) for n, v in fields.items()}, times, plan


def _named(names: list[str] | None, default: str, values: np.ndarray, ndim: int) -> dict[str, np.ndarray]:
    """Arrays by name, without the channel axis, which is the second; a vector has its components last."""
    channels = values.shape[1]
    names = names or [f"{default}_{i}" for i in range(channels)]
    if len(names) == 1 and channels == ndim > 1:
        return {names[0]: np.moveaxis(values, 1, -1)}
    if len(names) != channels or len(set(names)) != channels:
        key = "names" if default == "field" else f"{default}_names"
        raise ValueError(
            f"{channels} {default} channels need as many different names, got {names}; set metadata[{key!r}]."
        )
    return {name: values[:, i] for i, name in enumerate(names)}
