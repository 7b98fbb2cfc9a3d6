"""A run that solves an equation by a classical method."""

import datetime
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from ._build import Keys, build
from ._directory import RunDirectory, repeat_command
from ._environment import commit, configure, hardware, versions
from ._errors import ConfigError
from ._progress import clock
from ._report import write_report
from ._schema import resolved
from ._voice import Voice


def solve_config(config: DictConfig, arguments: list[str], voice: Voice, dry_run: bool = False) -> RunDirectory:
    """Solve the problem of a config; writes `solution.h5`, `figures/` and `report.html`.

    Raises `ConfigError` for a problem or method that cannot be built and a directory in use.
    """
    plain = resolved(config)
    directory = RunDirectory(plain["output"])
    directory.permit(plain["overwrite"], plain["resume"])
    configure(plain["precision"], directory.path.parent / ".cache")
    import jax

    from ..solvers import solve

    keys = Keys(plain["seed"])
    problem = build(plain["problem"], "problem", keys)
    method = None if plain["method"] is None else build(plain["method"], "method", keys)
    save_at = _instants(plain["save_at"], problem)
    equation = type(problem.equation).__name__
    voice.say(f"solving     {equation} by {type(method).__name__ if method is not None else 'the default method'}")
    if dry_run:
        return directory
    # A solve is short and has no state worth keeping half-way: resuming it means doing it again.
    directory.claim(plain["overwrite"] or plain["resume"], False)
    voice.log_to(directory.log)
    directory.config.write_text(OmegaConf.to_yaml(config, resolve=True))
    began = time.monotonic()
    directory.write_record(
        kind="solve",
        name=plain["name"],
        state="running",
        command=repeat_command(arguments),
        seed=plain["seed"],
        equation=equation,
        started=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        versions=versions(),
        hardware=hardware(),
        commit=commit(),
        precision="float64" if plain["precision"]["x64"] else "float32",
        summary=f"{equation} solved classically",
    )
    try:
        solution = solve(problem, method, save_at=save_at)
        jax.block_until_ready(solution.value)
    except Exception as error:
        directory.write_record(state="failed", reason=str(error).splitlines()[0])
        raise
    seconds = time.monotonic() - began
    facts = _store(directory, problem, solution, method)
    directory.write_record(**facts, solve_seconds=seconds)
    directory.write_record(state="finished", seconds=time.monotonic() - began)
    write_report(directory)
    voice.say(f"solved      {facts['method']}, {clock(seconds)}: {facts['result']}")
    voice.say(f"solution    {directory.solution}")
    voice.say(f"report      {directory.report}")
    return directory


def _instants(count: Any, problem: Any) -> Any:
    if count is None or not hasattr(problem, "t1"):
        return None
    if not isinstance(count, int) or count < 2:
        raise ConfigError(
            f"save_at is the number of evenly spaced instants to keep, both ends included, got {count!r}: write "
            f"save_at=101."
        )
    return np.linspace(float(problem.t0), float(problem.t1), count)


def _store(directory: RunDirectory, problem: Any, solution: Any, method: Any) -> dict[str, Any]:
    from ..data import Dataset, write_well
    from ..grids import Grid, Uniform

    values = np.asarray(solution.value.values)
    grid, facts = solution.value.grid, {}
    stats = {name: _plain(value) for name, value in solution.stats.items()}
    if hasattr(problem, "t1"):
        start = np.asarray(problem.u0.values)
        if values.ndim == 1 + len(grid.shape):
            times, values = np.array([float(problem.t0), float(problem.t1)]), np.stack([start, values])
        else:
            times = np.asarray(solution.ts, float)
        spacetime = Grid(
            t=Uniform(times.size, length=float(times[-1] - times[0]), start=float(times[0])),
            **dict(zip(grid.names, grid.axes, strict=True)),
        )
        stored = Dataset(
            start[None], np.moveaxis(values, 0, 1)[None], grid, name=directory.path.name, target_grid=spacetime
        )
        facts["balances"] = _balances(values, grid)
    else:
        given = _given_fields(problem.equation, values.shape[1:]) or {"nothing": np.zeros_like(values[:1])}
        names = [name if len(field) == 1 else f"{name}_{i}" for name, field in given.items() for i in range(len(field))]
        inputs = np.concatenate([field.astype(values.dtype) for field in given.values()])
        stored = Dataset(inputs[None], values[None], grid, name=directory.path.name, metadata={"input_names": names})
    write_well(directory.solution, stored, overwrite=True)
    name = stats.get("method") or type(method).__name__
    return facts | {
        "stats": stats,
        "method": str(name),
        "result": "successful" if bool(solution.ok) else str(solution.result),
        "error": _plain(solution.error),
    }


def _given_fields(equation: Any, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    from ..fields import GridField

    fields = {name: value for name, value in vars(equation).items() if isinstance(value, GridField)}
    arrays = {name: np.asarray(field.values) for name, field in fields.items()}
    return {name: array for name, array in arrays.items() if array.shape[1:] == shape}


def _balances(values: np.ndarray, grid: Any) -> dict[str, list[float]]:
    weights = np.asarray(grid.weights())
    over = tuple(range(2, values.ndim))
    integral, norm = (values * weights).sum(over), np.sqrt((values**2 * weights).sum((1, *over)))
    names = (
        ["integral of u"]
        if values.shape[1] == 1
        else [f"integral of channel {i}" for i in range(min(values.shape[1], 3))]
    )
    return {name: integral[:, i].tolist() for i, name in enumerate(names)} | {"L2 norm": norm.tolist()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if hasattr(value, "shape") and np.ndim(value) == 0:
        return np.asarray(value).item()
    if hasattr(value, "shape"):
        array = np.asarray(value)
        return array.tolist() if array.size <= 8 else f"array {array.shape}, last {array.ravel()[-1]:.3g}"
    return str(value)
