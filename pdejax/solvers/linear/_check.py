from collections.abc import Callable
from typing import Any

import jax
import lineax as lx
from jaxtyping import Array, PyTree


class _HermitianTag:
    def __repr__(self):
        return "hermitian_tag"


hermitian_tag = _HermitianTag()
"""Marks a complex operator with `A = A^H`, definite or not (lineax' `symmetric_tag` means `A = A^T`)."""


@lx.transpose_tags_rules.append
def _(tags: frozenset[object]):
    return hermitian_tag if hermitian_tag in tags else None


def is_hermitian(operator: lx.AbstractLinearOperator) -> bool:
    """Whether the tags of an operator promise `A = A^H`."""
    if lx.is_positive_semidefinite(operator) or lx.is_negative_semidefinite(operator):
        return True
    if any(jax.numpy.iscomplexobj(leaf) for leaf in jax.tree.leaves(operator.in_structure())):
        return hermitian_tag in getattr(operator, "tags", ())
    return lx.is_symmetric(operator)


def check_linear(operator: lx.AbstractLinearOperator, what: str = "the operator") -> None:
    """Refuse a nonlinear function dressed as a linear operator, which lineax would linearise at zero silently.

    A function is affine if its derivative does not depend on the point. That is read off the computation, not off
    values: mapped over many points, the derivative must stay one. So it works under any transformation and costs
    nothing at run time. Functions without a derivative rule pass, and so do affine ones.

    **Raises** `TypeError`.
    """
    nodes = jax.tree.leaves(operator, is_leaf=lambda x: isinstance(x, lx.FunctionLinearOperator))
    for node in nodes:
        if isinstance(node, lx.FunctionLinearOperator) and _depends_on_point(node.mv, node.in_structure()):
            raise TypeError(
                f"{what} wraps a nonlinear function as a lineax.FunctionLinearOperator; wrap its derivative "
                "(lineax.JacobianLinearOperator), or hand the function itself as options['preconditioner'] to "
                "FlexibleCG or FGMRES."
            )


def _depends_on_point(fn: Callable, structure: PyTree[jax.ShapeDtypeStruct]) -> bool:
    seen = []
    watch = jax.custom_batching.custom_vmap(lambda y: y)

    @watch.def_vmap
    def _(axis_size, in_batched, y):
        seen.extend(jax.tree.leaves(in_batched))
        return y, in_batched[0]

    def derivatives(points, direction):
        return jax.vmap(lambda x: watch(jax.jvp(fn, (x,), (direction,))[1]))(points)

    points = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), structure)
    try:
        jax.eval_shape(derivatives, points, structure)
    except (TypeError, NotImplementedError):  # no derivative rule: nothing is known
        return False
    return any(seen)


def preconditioner(options: dict[str, Any]) -> Callable[[PyTree[Array]], PyTree[Array]]:
    """`options["preconditioner"]`, a lineax operator or a callable, as a function `r -> z`; the identity without."""
    given = options.get("preconditioner")
    if given is None:
        return lambda r: r
    return given.mv if isinstance(given, lx.AbstractLinearOperator) else given


def check_preconditioner(options: dict[str, Any], name: str) -> None:
    """What solver `name`, which measures with its preconditioner, asks of `options["preconditioner"]`.

    **Raises** `TypeError` for anything that is not a linear operator, `ValueError` for one that is not tagged positive
    semidefinite.
    """
    given = options.get("preconditioner")
    if given is None:
        return
    if not isinstance(given, lx.AbstractLinearOperator):
        raise TypeError(
            f"the preconditioner of {name} must be a lineax linear operator, got {type(given).__name__}; a callable "
            "that is nonlinear or changes from step to step goes with FlexibleCG or FGMRES."
        )
    check_linear(given, f"the preconditioner of {name}")
    if not lx.is_positive_semidefinite(given):
        raise ValueError(
            f"the preconditioner of {name} must be a linear operator tagged lineax.positive_semidefinite_tag."
        )
