from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..grids import Grid
from ..nn import ContractiveBlock, FixedPoint, LiftProject, check_counts
from ..solvers import AbstractFixedPoint, Anderson, ImplicitAdjoint, Solution


class FNODEQ(eqx.Module):
    """Deep equilibrium Fourier neural operator, for steady problems: its hidden field is a fixed point.

    `w = P(a, x)`, `v* = G(v*, w)`, `u = Q(v*)`, where `G` is a stack of `nn.ContractiveBlock` which all see `w`, and
    `P`, `Q` are those of `FNO` (`nn.LiftProject`), so what is said there of bases, boundaries and grids holds here. The
    iteration starts from zero. Memory does not grow with the number of iterations; a solve that fails does not raise:
    `solve` says how it went, per sample under `vmap`.

    `G` shrinks distances by `bound` or more in every block, so for every input there is one fixed point, and the
    iteration finds it, whatever the training does.

    A trained operator may be asked for more: `eqx.tree_at(lambda m: m.layer.solver, model, solvers.Anderson(1e-6))`.

    **Arguments:** `modes` one number or one per axis; `blocks` in `G`; `bound` for each of them; `solver`, `adjoint`
    and `max_steps` (evaluations of `G`) as for `nn.FixedPoint`; `padding` as for `FNO`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, a bound outside `(0, 1)`, or a grid with too few
    nodes.

    Source: in the spirit of Marwah, Pokle, Kolter, Lipton, Lu & Risteski 2023, Deep equilibrium based neural operators
    for steady-state PDEs. Deviation: `nn.ContractiveBlock` in place of Fourier layers with normalisation, whose
    equilibria a training may lose.
    """

    around: LiftProject
    layer: FixedPoint

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: int | tuple[int, ...],
        width: int,
        ndim: int,
        *,
        blocks: int = 1,
        bound: float = 0.95,
        solver: AbstractFixedPoint = Anderson(1e-4),
        adjoint: optx.AbstractAdjoint = ImplicitAdjoint(),
        max_steps: int = 50,
        padding: float = 0.0,
        key: PRNGKeyArray,
    ):
        check_counts("FNODEQ", blocks=blocks)
        a, b = jax.random.split(key)
        self.around = LiftProject(in_channels, out_channels, width, ndim, padding=padding, key=a)
        block = lambda key: ContractiveBlock(width, modes, ndim, bound=bound, padding=padding, key=key)
        self.layer = FixedPoint(_Stack(tuple(map(block, jax.random.split(b, blocks)))), solver, adjoint, max_steps)

    def __call__(self, a: GridField) -> GridField:
        return self.solve(a)[0]

    def solve(self, a: GridField) -> tuple[GridField, Solution]:
        """The output, and the hidden fixed point with its residual (`error`), `result` and counts (`stats`)."""
        w = self.around.lift(a)
        solution = self.bounded(w.grid).solve(w, w.with_values(jnp.zeros_like(w.values)))
        return self.around.project(solution.value, a), solution

    def bounded(self, grid: Grid) -> FixedPoint:
        """The implicit layer on a (hidden) grid: its `body` is `G(v, w)`, and `nn.diagnose` takes it."""
        blocks = tuple(block.bounded(grid) for block in self.layer.body.blocks)
        return eqx.tree_at(lambda layer: layer.body, self.layer, _Stack(blocks))


class _Stack(eqx.Module):
    blocks: tuple[Callable[[GridField, GridField], GridField], ...]

    def __call__(self, v: GridField, w: GridField) -> GridField:
        for block in self.blocks:
            v = block(v, w)
        return v
