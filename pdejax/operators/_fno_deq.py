import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import PRNGKeyArray

from ..fields import GridField
from ..nn import FixedPoint, FourierBlock, LiftProject, check_counts, lipschitz_bound
from ..solvers import AbstractFixedPoint, Anderson, ImplicitAdjoint, Solution

_SLOPE = 1.13  # the largest of gelu


class FNODEQ(eqx.Module):
    """Deep equilibrium Fourier neural operator, for steady problems: its hidden field is a fixed point.

    `w = P(a, x)`, `v* = G(v*, w)`, `u = Q(v*)`, where `G` is a stack of `nn.FourierBlock` which all see `w`, and `P`,
    `Q` are those of `FNO` (`nn.LiftProject`), so what is said there of bases, boundaries and grids holds here. The
    iteration starts from zero. Memory does not grow with the number of iterations; a solve that fails does not raise:
    `solve` says how it went, per sample under `vmap`.

    The weights of a block that act on `v` are divided by what makes `1.13 (||K|| + ||W||)` (1.13: the largest slope of
    gelu) no more than `bound`, with `nn.lipschitz_bound`. Below 1 there is one fixed point for every input, and plain
    iteration finds it, whatever the training does. That is a strict condition, and costs accuracy; with bounds of 2 to
    4 equilibria are no longer certain but found in practice, and without any the training may lose them.

    A trained operator may be asked for more: `eqx.tree_at(lambda m: m.layer.solver, model, solvers.Anderson(1e-6))`.

    **Arguments:** `modes` one number or one per axis; `blocks` in `G`; `bound` for each of them; `solver`, `adjoint`
    and `max_steps` (evaluations of `G`) as for `nn.FixedPoint`; `padding` as for `FNO`.

    **Shapes:** field `(in_channels, *n)` to field `(out_channels, *n)`.

    **Raises** `ValueError` for a wrong channel count or dimension, or a grid with too few nodes.

    Source: in the spirit of Marwah, Pokle, Kolter, Lipton, Lu & Risteski 2023, Deep equilibrium based neural operators
    for steady-state PDEs. Deviation: the block is the plain Fourier layer with injection, and bounded, not normalised.
    """

    around: LiftProject
    layer: FixedPoint
    bound: float = eqx.field(static=True)

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
        if not bound > 0:
            raise ValueError(f"a Lipschitz bound is positive, got bound={bound!r}; write bound=0.95.")
        a, b = jax.random.split(key)
        self.around = LiftProject(in_channels, out_channels, width, ndim, padding=padding, key=a)
        stack = tuple(FourierBlock(width, modes, ndim, padding=padding, key=k) for k in jax.random.split(b, blocks))
        self.layer = FixedPoint(_Stack(stack), solver, adjoint, max_steps)
        self.bound = float(bound)

    def __call__(self, a: GridField) -> GridField:
        return self.solve(a)[0]

    def solve(self, a: GridField) -> tuple[GridField, Solution]:
        """The output, and the hidden fixed point with its residual (`error`), `result` and counts (`stats`)."""
        w = self.around.lift(a)
        solution = self.bounded.solve(w, w.with_values(jnp.zeros_like(w.values)))
        return self.around.project(solution.value, a), solution

    @property
    def bounded(self) -> FixedPoint:
        """The implicit layer with the bounded weights: its `body` is `G(v, w)`, and `nn.diagnose` takes it."""
        blocks = tuple(_bounded(block, self.bound) for block in self.layer.body.blocks)
        return eqx.tree_at(lambda layer: layer.body.blocks, self.layer, blocks)


class _Stack(eqx.Module):
    blocks: tuple[FourierBlock, ...]

    def __call__(self, v: GridField, w: GridField) -> GridField:
        for block in self.blocks:
            v = block(v, w)
        return v


def _bounded(block: FourierBlock, bound: float) -> FourierBlock:
    size = _SLOPE * (lipschitz_bound(block.spectral) + lipschitz_bound(block.local))
    weights = lambda b: (b.spectral.weight, b.local.weight)
    return eqx.tree_at(weights, block, tuple(weight * (bound / jnp.maximum(size, bound)) for weight in weights(block)))
