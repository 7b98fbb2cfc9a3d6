from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..fields import GridField
from ._method import AbstractMethod
from ._problem import SteadyProblem
from ._solution import RESULTS, Solution, SolveError
from ._solve import solve

Path = list[tuple[float, GridField]]


class Branch(eqx.Module):
    """Solutions along a parameter.

    `parameters` `(k,)`: the values solved for, those asked for and those inserted; `values`: the solutions, one field
    with a leading axis of length k; `num_steps` `(k,)`: iterations of each; `failed_at`: the nearest value that could
    not be reached, `None` if the last one asked for was; `result`: why not.
    """

    parameters: Array
    values: GridField
    num_steps: Array
    failed_at: float | None
    result: RESULTS

    @property
    def ok(self) -> bool:
        """Whether the last parameter asked for was reached."""
        return self.failed_at is None

    @property
    def last(self) -> GridField:
        """The solution at the last parameter reached."""
        return jax.tree.map(lambda x: x[-1], self.values)


def latest(path: Path, parameter: float) -> GridField:
    """The last solution as guess for the next parameter."""
    return path[-1][1]


def secant(path: Path, parameter: float) -> GridField:
    """The straight line through the last two solutions (Allgower & Georg 1990, chapter 2)."""
    if len(path) < 2:
        return path[-1][1]
    (before, u), (now, w) = path[-2:]
    t = (parameter - now) / (now - before)
    return w.with_values(w.values + t * (w.values - u.values))


def continuation(
    family: Callable[[Array], SteadyProblem],
    parameters: Sequence[float] | Array,
    method: AbstractMethod | None = None,
    *,
    predictor: Callable[[Path, float], GridField] = secant,
    smallest: float = 1e-3,
    max_steps: int | None = None,
) -> Branch:
    """Follow the solution of a family of steady problems along a parameter, each solve starting from the ones before.

    Where a solve fails, the step is halved; after a success it is doubled. It ends early, with `failed_at`, when a
    step of `smallest` times the whole range fails: near a fold, say, beyond which there is no solution. The solve is
    compiled once. For a gradient, solve once more at the value of interest with `branch.last` as guess.

    **Arguments:** `family(parameter)`: the problem for one value, with a `guess` for the first one if it needs it;
    `parameters`: increasing or decreasing values to be reached, the first an easy one; `method`, `max_steps`: of each
    `solve`; `predictor`: `secant` or `latest`.

    **Raises** `ValueError` unless the parameters are monotone; `SolveError` if the first solve fails.

    ```python
    branch = continuation(lambda c: SteadyProblem(Bratu(c), grid), [0.0, 2.0, 4.0, 6.0])
    ```
    """
    targets = np.asarray(parameters, float).ravel()
    if len(targets) == 0 or (len(targets) > 1 and abs(np.sign(np.diff(targets)).sum()) != len(targets) - 1):
        raise ValueError(
            f"parameters must increase or decrease, got {targets.tolist()}; write e.g. jnp.linspace(0.0, 6.0, 7)."
        )

    def attempt(parameter: float, guess: GridField | None) -> Solution:
        problem = family(jnp.asarray(parameter))
        if guess is None:
            guess = problem.guess
        if guess is None:
            # A field also where zero is meant: one structure for all solves.
            guess = problem.boundary(jnp.result_type(float))
        problem = SteadyProblem(problem.equation, problem.grid, problem.channels, guess)
        return solve(problem, method, max_steps=max_steps, throw=False)

    def record(solution: Solution, parameter: float) -> None:
        path.append((parameter, solution.value))
        counts.append(solution.stats["num_steps"])

    path, counts = [], []
    now = float(targets[0])
    solution = attempt(now, None)
    if not solution.ok:
        raise SolveError(
            f"the first solve of the continuation, at parameter {now:g}, failed: {RESULTS[solution.result]} "
            "Start at an easier parameter, or give the problem a guess."
        )
    record(solution, now)
    failed_at, result, floor = None, solution.result, smallest * abs(targets[-1] - targets[0])
    for target in map(float, targets[1:]):
        step = target - now
        while now != target and failed_at is None:
            # Not a sliver short of the target.
            aim = target if abs(target - now) < 1.5 * abs(step) else now + step
            solution = attempt(aim, predictor(path, aim))
            if solution.ok:
                record(solution, aim)
                now, step = aim, 2 * (aim - now)
            else:
                step = (aim - now) / 2
                if abs(step) < floor:
                    failed_at, result = aim, solution.result
    values = jax.tree.map(lambda *x: jnp.stack(x), *[field.as_values() for _, field in path])
    return Branch(jnp.asarray([p for p, _ in path]), values, jnp.stack(counts), failed_at, result)
