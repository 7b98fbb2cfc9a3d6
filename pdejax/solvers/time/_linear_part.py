"""The linear part of an evolution equation in the modes of its grid, and the functions of it that steppers apply."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jaxtyping import Array

from ...fields import Eigenbasis
from ...grids import scale
from .._problem import EvolutionProblem, homogeneous
from .._symbol import NotDiagonal, dense_matrix, is_coupled, read_symbol
from ._phi import Combination, combine, matrix_phis, phis

# Up to this many unknowns an operator that couples modes is set up as a matrix, beyond it is applied in Krylov spaces.
DENSE_LIMIT = 1024


class AbstractOperator(eqx.Module):
    """A linear map of modes `(channels, *modes)`."""

    @abc.abstractmethod
    def __call__(self, v: Array) -> Array:
        """The image of `v`."""


class AbstractLinearPart(eqx.Module):
    """`L` in `v' = L v + N(v, t)`."""

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """How it is represented, for `stats`."""

    @property
    def grows(self) -> bool:
        """Whether a mode may grow by `L` alone."""
        return True

    def damping(self) -> "AbstractLinearPart":
        """`L` without the growth of modes, where it is known mode by mode, else `L` itself."""
        return self

    @abc.abstractmethod
    def product(self) -> AbstractOperator:
        """`v -> L v`."""

    @abc.abstractmethod
    def exponentials(self, dt: float, combinations: dict[str, Combination]) -> dict[str, AbstractOperator]:
        """Combinations of `phi_k(c dt L)`."""

    @abc.abstractmethod
    def resolvent(self, a: float) -> AbstractOperator:
        """`(I - a L)^-1`."""


class Multiplier(AbstractOperator):
    """Multiplication mode by mode: by numbers `(channels, *modes)`, or matrices over channels `(C, C, *modes)`."""

    table: Array

    def __call__(self, v: Array) -> Array:
        if self.table.ndim == v.ndim + 1:
            return jnp.einsum("ij...,j...->i...", self.table.astype(v.dtype), v, precision="highest")
        return self.table * v if jnp.iscomplexobj(self.table) else scale(v, self.table)


class Matrix(AbstractOperator):
    """A matrix over all modes of all channels."""

    matrix: Array

    def __call__(self, v: Array) -> Array:
        return jnp.matmul(self.matrix.astype(v.dtype), v.reshape(-1), precision="highest").reshape(v.shape)


class Diagonal(AbstractLinearPart):
    """`L` acts on every mode by a number, or a small matrix over channels: `symbol` `(C, C, *modes)`."""

    symbol: np.ndarray | Array
    coupled: bool = eqx.field(static=True)
    dtype: np.dtype = eqx.field(static=True)

    @property
    def kind(self) -> str:
        return "matrix symbol over channels" if self.coupled else "diagonal"

    @property
    def grows(self) -> bool:
        known = isinstance(self.symbol, np.ndarray) and not self.coupled
        return not known or bool(np.max(np.real(self._argument())) > 0)

    def damping(self) -> "Diagonal":
        if self.coupled:
            return self
        xp = np if isinstance(self.symbol, np.ndarray) else jnp
        return Diagonal(self.symbol - xp.maximum(xp.real(self.symbol), 0), self.coupled, self.dtype)

    def product(self) -> Multiplier:
        return self._tables({"L": self._argument()})["L"]

    def exponentials(self, dt: float, combinations: dict[str, Combination]) -> dict[str, Multiplier]:
        z = self._argument()
        return self._tables(combine(combinations, z * _number(dt, z), matrix_phis if self.coupled else phis))

    def resolvent(self, a: float) -> Multiplier:
        z = self._argument()
        xp = np if isinstance(z, np.ndarray) else jnp
        if not self.coupled:
            return self._tables({"inverse": 1 / (1 - _number(a, z) * z)})["inverse"]
        eye = xp.eye(z.shape[-1], dtype=z.dtype)
        return self._tables({"inverse": xp.linalg.inv(eye - _number(a, z) * z)})["inverse"]

    def _argument(self):
        # Numbers (C, *modes), or matrices (*modes, C, C).
        if self.coupled:
            xp = np if isinstance(self.symbol, np.ndarray) else jnp
            return xp.moveaxis(self.symbol, (0, 1), (-2, -1))
        channels = range(self.symbol.shape[0])
        if isinstance(self.symbol, np.ndarray):
            diagonal = np.stack([self.symbol[i, i] for i in channels])
            return diagonal if np.any(np.imag(diagonal)) else np.real(diagonal)
        return jnp.stack([self.symbol[i, i] for i in channels])

    def _tables(self, tables: dict) -> dict[str, Multiplier]:
        if self.coupled:
            xp = np if isinstance(self.symbol, np.ndarray) else jnp
            tables = {name: xp.moveaxis(table, (-2, -1), (0, 1)) for name, table in tables.items()}
        return {name: Multiplier(_cast(table, self.dtype)) for name, table in tables.items()}


class Dense(AbstractLinearPart):
    """`L` couples modes: a matrix over all of them, set up once."""

    matrix: np.ndarray | Array
    dtype: np.dtype = eqx.field(static=True)

    @property
    def kind(self) -> str:
        return f"dense matrix of {self.matrix.shape[0]} unknowns"

    def product(self) -> Matrix:
        return Matrix(_cast(self.matrix, self.dtype))

    def exponentials(self, dt: float, combinations: dict[str, Combination]) -> dict[str, Matrix]:
        tables = combine(combinations, self.matrix * _number(dt, self.matrix), matrix_phis)
        return {name: Matrix(_cast(table, self.dtype)) for name, table in tables.items()}

    def resolvent(self, a: float) -> Matrix:
        xp = np if isinstance(self.matrix, np.ndarray) else jnp
        eye = xp.eye(self.matrix.shape[0], dtype=self.matrix.dtype)
        return Matrix(_cast(xp.linalg.inv(eye - _number(a, self.matrix) * self.matrix), self.dtype))


class MatrixFree(AbstractLinearPart):
    """`L` couples modes and is too large for a matrix: its functions act in Krylov spaces of `dimension` vectors.

    Saad 1992 (exponentials); Saad & Schultz 1986 (resolvents, through lineax).
    """

    equation: eqx.Module
    basis: Eigenbasis
    real: bool = eqx.field(static=True)
    dimension: int = eqx.field(static=True)

    @property
    def kind(self) -> str:
        return f"Krylov spaces of {self.dimension} vectors"

    def product(self) -> "Applied":
        return Applied(self.equation, self.basis, self.real)

    def exponentials(self, dt: float, combinations: dict[str, Combination]) -> dict[str, "KrylovFunction"]:
        return {
            name: KrylovFunction(self.product(), combination, dt, self.dimension)
            for name, combination in combinations.items()
        }

    def resolvent(self, a: float) -> "KrylovInverse":
        return KrylovInverse(self.product(), a)


class Applied(AbstractOperator):
    """The linear part by its own text."""

    equation: eqx.Module
    basis: Eigenbasis
    real: bool = eqx.field(static=True)

    def __call__(self, v: Array) -> Array:
        return self.basis.forward(self.equation.linear(self.basis.backward(v, self.real)))


class KrylovFunction(AbstractOperator):
    """`sum w phi_k(c dt L) v = |v| V sum w phi_k(c dt H) e_1` with the Arnoldi basis V and Hessenberg matrix H of v."""

    operator: Applied
    combination: Combination = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    dimension: int = eqx.field(static=True)

    def __call__(self, v: Array) -> Array:
        size = jnp.sqrt(jnp.sum(jnp.abs(v) ** 2))
        safe = jnp.where(size > 0, size, jnp.ones((), size.dtype))
        first = v.reshape(-1) / safe.astype(v.dtype)
        m = min(self.dimension, v.size)
        rows = jnp.zeros((m + 1, v.size), v.dtype).at[0].set(first)

        def expand(rows: Array, j: Array) -> tuple[Array, Array]:
            w = self.operator(rows[j].reshape(v.shape)).reshape(-1)
            # Twice: one pass of Gram-Schmidt loses orthogonality in single precision.
            h = jnp.matmul(jnp.conj(rows), w, precision="highest")
            w = w - jnp.matmul(h, rows, precision="highest")
            again = jnp.matmul(jnp.conj(rows), w, precision="highest")
            w, h = w - jnp.matmul(again, rows, precision="highest"), h + again
            length = jnp.sqrt(jnp.sum(jnp.abs(w) ** 2)).astype(v.dtype)
            tiny = jnp.abs(length) <= jnp.finfo(v.dtype).eps * jnp.sqrt(jnp.sum(jnp.abs(h) ** 2))
            w = jnp.where(tiny, jnp.zeros_like(w), w / jnp.where(tiny, jnp.ones_like(length), length))
            return rows.at[j + 1].set(w), h.at[j + 1].set(jnp.where(tiny, jnp.zeros_like(length), length))

        rows, columns = jax.lax.scan(expand, rows, jnp.arange(m))
        small = columns.T[:m, :m] * jnp.asarray(self.dt, size.dtype).astype(v.dtype)
        function = combine({"f": self.combination}, small, matrix_phis)["f"]
        out = jnp.matmul(function[:, 0], rows[:m], precision="highest") * size.astype(v.dtype)
        return out.reshape(v.shape)


class KrylovInverse(AbstractOperator):
    """`(I - a L)^-1` by restarted GMRES (lineax)."""

    operator: Applied
    a: float = eqx.field(static=True)

    def __call__(self, v: Array) -> Array:
        rtol = 1e-10 if v.real.dtype == jnp.float64 else 1e-5
        product = lambda w: w - scale(self.operator(w), jnp.asarray(self.a, v.real.dtype))
        operator = lx.FunctionLinearOperator(product, jax.ShapeDtypeStruct(v.shape, v.dtype))
        return lx.linear_solve(operator, v, lx.GMRES(rtol=rtol, atol=rtol, restart=60)).value


def linear_part(problem: EvolutionProblem, dt: float) -> AbstractLinearPart:
    """The linear part of a problem, in the cheapest representation that it admits.

    **Raises** `ValueError` if it is not linear, turns fields into fields of another parity, or is too stiff for Krylov
    spaces at this step.
    """
    basis = Eigenbasis(homogeneous(problem.u0.grid))
    channels, real = problem.u0.channels, problem.u0.is_real
    dtype = np.dtype(jax.eval_shape(basis.forward, problem.u0).dtype)
    try:
        symbol = read_symbol(problem.equation, _linear, basis, channels, real)
        return Diagonal(symbol, is_coupled(symbol, problem.equation, _linear, basis, channels, real), dtype)
    except NotDiagonal as error:
        unknowns = channels * int(np.prod(basis.shape(real)))
        if unknowns <= DENSE_LIMIT:
            return Dense(dense_matrix(problem.equation, _linear, basis, channels, real, error), dtype)
    return MatrixFree(problem.equation, basis, real, krylov_dimension(problem, basis, dt))


def krylov_dimension(problem: EvolutionProblem, basis: Eigenbasis, dt: float) -> int:
    """Vectors that Krylov approximations of `phi(dt L)` need: about twice the root of `dt |L|` for diffusion
    (Hochbruck & Lubich 1997, theorem 2).

    **Raises** `ValueError` if that is more than 128.
    """
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(problem)):
        return 64
    size = dt * float(_spectral_radius(Applied(problem.equation, basis, problem.u0.is_real), problem.u0))
    wanted = int(np.ceil(2.5 * np.sqrt(size))) + 12
    if wanted > 128:
        raise ValueError(
            f"the linear part of {type(problem.equation).__name__} couples modes and is too stiff for Krylov spaces at "
            f"this step (dt |L| = {size:.3g}); write dt={dt * (46**2) / size:.2g} or smaller, fewer nodes, or an IMEX "
            "method such as solvers.SBDF2(dt)."
        )
    return max(wanted, 16)


@eqx.filter_jit
def _spectral_radius(operator: Applied, u0) -> Array:
    start = operator.basis.forward(u0)
    v = jnp.cos(jnp.arange(start.size, dtype=start.real.dtype) ** 2).reshape(start.shape).astype(start.dtype)

    def power(v, _):
        w = operator(v)
        size = jnp.sqrt(jnp.sum(jnp.abs(w) ** 2))
        return w / size.astype(w.dtype), size

    return jax.lax.scan(power, v, None, length=30)[1][-1]


def _linear(equation, u):
    return equation.linear(u)


def _number(x: float, like):
    return np.asarray(x, like.dtype) if isinstance(like, np.ndarray) else jnp.asarray(x, like.dtype)


def _cast(table, dtype) -> Array:
    # In the precision of the data; real where the table is.
    complex_table = jnp.iscomplexobj(table) and jnp.issubdtype(dtype, jnp.complexfloating)
    if not complex_table:
        table, dtype = table.real, np.zeros((), dtype).real.dtype
    return jnp.asarray(table).astype(dtype) if not isinstance(table, np.ndarray) else jnp.asarray(table, dtype)
