import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array


class AbstractPositive(lx.AbstractLinearOperator):
    """A Hermitian positive semidefinite operator on vectors `(n,)`, as PCG takes its preconditioner.

    All of its arrays stand in `mv` such that their conjugates give the conjugate operator, which for a Hermitian
    operator is the transpose.
    """

    def transpose(self) -> "AbstractPositive":
        """The conjugate operator: itself where it is real."""
        return lx.conj(self)

    def as_matrix(self) -> Array:
        """Column by column."""
        structure = self.in_structure()
        return jax.vmap(self.mv, in_axes=1, out_axes=1)(jnp.eye(structure.shape[0], dtype=structure.dtype))

    def out_structure(self) -> jax.ShapeDtypeStruct:
        """As `in_structure`."""
        return self.in_structure()


@lx.linearise.register(AbstractPositive)
def _(operator):
    return operator


@lx.materialise.register(AbstractPositive)
def _(operator):
    return lx.MatrixLinearOperator(operator.as_matrix(), lx.positive_semidefinite_tag)


@lx.diagonal.register(AbstractPositive)
def _(operator):
    return jnp.diag(operator.as_matrix())


@lx.conj.register(AbstractPositive)
def _(operator):
    return jax.tree.map(lambda x: jnp.conj(x) if eqx.is_inexact_array(x) and jnp.iscomplexobj(x) else x, operator)


@lx.is_positive_semidefinite.register(AbstractPositive)
def _(operator):
    return True


@lx.is_symmetric.register(AbstractPositive)
def _(operator):
    return not jnp.issubdtype(operator.in_structure().dtype, jnp.complexfloating)


for _check in (
    lx.is_diagonal,
    lx.is_tridiagonal,
    lx.has_unit_diagonal,
    lx.is_lower_triangular,
    lx.is_upper_triangular,
    lx.is_negative_semidefinite,
):
    _check.register(AbstractPositive, lambda operator: False)
