"""One row admits a method: problem class, boundary kind and dtype, under jit, vmap, grad and jvp, against SciPy.

A row of a steady method compiles one function, which gives the solution and its forward derivative, and the solutions
and gradients of a batch. The truth is SciPy's direct solution of a matrix assembled here from one-dimensional ones, for
problems whose coefficient, source and boundary data all depend on the direction of the derivative; its difference
quotient is the third of the gradient triple.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import pdejax as pj
from pdejax.calculus import norm
from pdejax.solvers.multigrid import _hierarchy

S, E, D = pj.solvers, pj.equations, pj.Dirichlet(0.0)
SLOW = pytest.mark.slow


def evolution(method):
    def run(parameter, values):
        names = "xyz"[: values.ndim - 1]
        grid = pj.Grid(**{name: pj.Fourier(n) for name, n in zip(names, values.shape[1:], strict=True)})
        problem = pj.EvolutionProblem(E.AllenCahn(0.1 * parameter, 1.0), pj.GridField(values, grid), t1=0.2)
        return pj.solve(problem, method)

    return run


EVOLUTIONS = {"etdrk4": evolution(S.ETDRK4(dt=0.1)), "rk4": evolution(S.RK4(dt=0.02))}


@pytest.mark.parametrize("d,dtype", [(1, jnp.float64), (2, jnp.float32), (3, jnp.float64)], ids=["1", "2-f32", "3"])
@pytest.mark.parametrize("row", EVOLUTIONS)
def test_evolution(row, d, dtype):
    values = jnp.asarray(np.random.default_rng(0).uniform(1, 2, (2, 1, *(8, 10, 12)[:d])), dtype)
    parameter = jnp.asarray(1.3, dtype)
    one = EVOLUTIONS[row](parameter, values[0])
    assert bool(one.ok) and one.value.dtype == dtype and one.value.values.shape == values[0].shape
    tolerance = 1e-4 if dtype == jnp.float32 else 1e-7

    def size(p, v):
        return norm(EVOLUTIONS[row](p, v).value)

    (batch, slope) = jax.jit(jax.vmap(jax.value_and_grad(size), in_axes=(None, 0)))(parameter, values)
    assert batch.dtype == slope.dtype == dtype
    np.testing.assert_allclose(batch[0], norm(one.value), rtol=tolerance)
    h = 1e-2 if dtype == jnp.float32 else 1e-4
    central = (size(parameter + h, values[1]) - size(parameter - h, values[1])) / (2 * h)
    np.testing.assert_allclose(slope[1], central, rtol=100 * tolerance, atol=10 * tolerance)


# Boundary kinds: for each axis the two ends, of a kind and a datum that is scaled by data["edge"]; centred or not.
ALPHA, WAVES = 1.5, -6j
ENDS = {
    "values": ((("value", 0.3), ("value", -0.2)), (("value", 0.1), ("value", 0.4)), False),
    "mixed": ((("value", 0.3), ("slope", 0.5)), (("slope", -0.4), ("slope", 0.2)), False),
    "slopes": ((("slope", 0.3), ("slope", 0.5)), (("slope", -0.4), ("slope", 0.2)), False),
    "robin": ((("robin", 0.3), ("slope", 0.5)), (("robin", -0.4), ("robin", 0.2)), False),
    "centred": ((("value", 0.3), ("slope", 0.5)), (("slope", -0.4), ("value", 0.2)), True),
    "centred robin": ((("robin", 0.3), ("slope", 0.5)), (("robin", -0.4), ("value", 0.2)), True),
    "centred slopes": ((("slope", 0.3), ("slope", 0.5)), (("slope", -0.4), ("slope", 0.2)), True),
    "ring": ((("ring", 0.0), ("ring", 0.0)), (("value", 0.1), ("value", 0.4)), False),
    "periodic": ((("ring", 0.0), ("ring", 0.0)), (("ring", 0.0), ("ring", 0.0)), False),
    "impedance": ((("impedance", 0.3), ("impedance", 0.5)), (("value", 0.2), ("slope", 0.1)), False),
}
SHAPE = (9, 7)


def make_grid(boundary, edge):
    condition = {
        "value": lambda v: pj.Dirichlet(v * edge),
        "slope": lambda v: pj.Neumann(v * edge),
        "robin": lambda v: pj.Robin(ALPHA, v * edge),
        "impedance": lambda v: pj.Robin(WAVES, v * edge),
        "ring": lambda v: pj.Periodic(),
    }
    x, y, centred = ENDS[boundary]
    axes = [
        pj.Uniform(n, lower=condition[low[0]](low[1]), upper=condition[up[0]](up[1]), centred=centred)
        for n, (low, up) in zip(SHAPE, (x, y), strict=True)
    ]
    return pj.Grid(x=axes[0], y=axes[1])


def line(n, ends, centred):
    """Matrices of one axis: `divergence`, `mean` and `slope` (with its boundary part `given`) at the faces, of which
    the first and last are the ends, and `central`, which takes slopes at faces to those at nodes.
    """
    if ends[0][0] == "ring":
        up, one = sp.eye_array(n, k=1) + sp.eye_array(n, k=1 - n), sp.eye_array(n)
        return (one - up.T) * n, (one + up) / 2, (up - one) * n, np.zeros(n), (one + up.T) / 2
    h = 1 / n if centred else 1 / (n - 1)
    mean, slope, given = np.zeros((n + 1, n)), np.zeros((n + 1, n), complex), np.zeros(n + 1, complex)
    inner = np.arange(1, n)
    mean[inner, inner - 1] = mean[inner, inner] = 0.5
    slope[inner, inner - 1], slope[inner, inner] = -1 / h, 1 / h
    for (kind, datum), face, node, out in ((ends[0], 0, 0, -1), (ends[1], n, n - 1, 1)):
        mean[face, node] = 1
        if kind == "value" and centred:
            slope[face, node], given[face] = -out * 2 / h, out * 2 / h * datum
        elif kind == "slope":
            given[face] = datum
        elif kind != "value":
            alpha = ALPHA if kind == "robin" else WAVES
            outward = out / (1 + alpha * h / 2 if centred else 1)
            slope[face, node], given[face] = -outward * alpha, outward * datum
        if kind != "value" and centred:
            mean[face, [node, node - out]] = 1.5, -0.5
    divergence, central = (np.eye(n, n + 1, 1) - np.eye(n, n + 1)) / h, (np.eye(n, n + 1, 1) + np.eye(n, n + 1)) / 2
    if not centred:
        divergence[[0, -1]] *= 2
        central[[0, -1]] = np.eye(n + 1)[[0, -1]]
    return *map(sp.csr_array, (divergence, mean, slope)), given, sp.csr_array(central)


@functools.cache
def plane(boundary):
    """The matrices of both axes on the plane, known values and where they are, and the quadrature's weights."""
    (*ends, centred), lines, known, weights = ENDS[boundary], [], np.full(SHAPE, np.nan), np.ones(())
    for i, n in enumerate(SHAPE):
        *matrices, given, central = line(n, ends[i], centred)
        matrices.append(central)
        lift = (
            (lambda m: sp.kron(m, sp.eye_array(SHAPE[1]))) if i == 0 else (lambda m: sp.kron(sp.eye_array(SHAPE[0]), m))
        )
        given = np.repeat(given, SHAPE[1]) if i == 0 else np.tile(given, SHAPE[0])
        lines.append((*map(sp.csr_array, map(lift, matrices)), given))
        along = np.ones(n)
        if not centred and ends[i][0][0] != "ring":
            along[[0, -1]] = 0.5
            for at, (kind, datum) in zip((0, -1), ends[i], strict=True):
                if kind == "value":
                    known[(slice(None),) * i + (at,)] = datum
        weights = np.multiply.outer(weights, along)
    return lines, known.ravel(), weights.ravel()


VELOCITY, DAMPING, CUBIC = (3.0, -1.0), 8.0, 20.0
# Equations of data: "a" (9, 7) a coefficient, "f" (9, 8) the source.
EQUATIONS = {
    "positive": lambda a, f: E.Darcy(a, f),
    "singular": lambda a, f: E.Darcy(a, f),
    "indefinite": lambda a, f: E.Helmholtz(a, f),
    "nonsymmetric": lambda a, f: E.SteadyAdvectionDiffusion(jnp.asarray(VELOCITY, a.dtype), a, f),
    "complex": lambda a, f: E.Helmholtz(a, f, DAMPING),
    "constant": lambda a, f: E.Helmholtz(a.values[0, 0, 0], f),
    "constant singular": lambda a, f: E.Darcy(a.values[0, 0, 0], f),
    "constant complex": lambda a, f: E.Helmholtz(a.values[0, 0, 0], f, DAMPING),
    "nonlinear": lambda a, f: E.SemilinearPoisson(f, CUBIC * a.values[0, 0, 0]),
}


def truth(kind, boundary, data):
    """SciPy's solution."""
    lines, known, weights = plane(boundary)
    a, f, edge = data["a"].ravel(), data["f"].ravel(), float(data["edge"])
    a = np.full_like(a, a[0]) if kind.startswith("constant") or kind == "nonlinear" else a
    diffused = kind in ("positive", "singular", "nonsymmetric", "constant singular")
    matrix, right = sp.csr_array((a.size, a.size), dtype=complex), f.astype(complex)
    for i, (divergence, mean, slope, central, given) in enumerate(lines):
        flux = divergence @ sp.diags_array(mean @ (a if diffused else np.ones_like(a)))
        flux = flux - VELOCITY[i] * central if kind == "nonsymmetric" else flux
        matrix, right = matrix - flux @ slope, right + edge * (flux @ given)
    if not diffused and kind != "nonlinear":
        matrix = matrix - sp.diags_array(a**2 + (1j * DAMPING if "complex" in kind else 0))
    if not ("complex" in kind or boundary == "impedance"):
        matrix, right = matrix.real, right.real
    if "singular" in kind:
        bordered = sp.block_array([[matrix, np.ones((a.size, 1))], [weights[None], None]])
        return spla.spsolve(sp.csc_array(bordered), np.append(right, 0))[:-1].reshape(SHAPE)
    free = np.isnan(known)
    u = np.where(free, 0, edge * known).astype(matrix.dtype)
    c = CUBIC * a[0] if kind == "nonlinear" else 0.0
    for _ in range(20 if c else 1):
        residual = (matrix @ u + c * u**3 - right)[free]
        tangent = sp.csc_array((matrix + sp.diags_array(3 * c * u**2))[free][:, free])
        u[free] -= spla.spsolve(tangent, residual)
    return u.reshape(SHAPE)


def random_data(kind, boundary):
    """A point and a direction `{"a", "f", "edge"}`."""
    generator = np.random.default_rng(3)
    coefficient = {"positive": (12.0, 3.0), "singular": (12.0, 3.0), "nonsymmetric": (0.5, 0.3)}.get(kind, (5.7, 5.0))
    a = np.where(generator.standard_normal(SHAPE) > 0, *coefficient)
    point = {"a": a, "f": generator.standard_normal(SHAPE), "edge": 1.0}
    step = {"a": 0.1 * a * generator.uniform(-1, 1, SHAPE), "f": generator.standard_normal(SHAPE), "edge": 0.4}
    if "singular" in kind:
        step["edge"] = 0.0  # What enters through the ends is linear in `a` then, so sources can make up for it.
        lines, _, weights = plane(boundary)
        for data in (point, step):
            field = np.full_like(a, data["a"][0, 0]) if kind.startswith("constant") else data["a"]
            entering = sum(div @ ((mean @ field.ravel()) * given.real) for div, mean, _, _, given in lines)
            data["f"] -= weights @ (data["f"].ravel() + entering) / weights.sum()
    return point, step


FINE = {"rtol": 1e-11}
CG, MULTIGRID = S.ConjugateGradient(**FINE), S.MultigridCG(**FINE)
MINRES, GMRES = S.MinimalResidual(**FINE), S.GMRES(**FINE)
FLEXIBLE = S.GMRES(1e-11, preconditioner=S.Multigrid())
METHODS = {
    "fast transform": (S.FastTransform(), S.FastTransform()),
    "cg": (CG, S.ConjugateGradient()),
    "multigrid cg": (MULTIGRID, S.MultigridCG()),
    "minres": (MINRES, S.MinimalResidual()),
    "gmres": (GMRES, S.GMRES()),
    "gmres multigrid": (FLEXIBLE, S.GMRES(preconditioner=S.Multigrid())),
    "bicgstab": (S.Krylov(lx.BiCGStab(1e-11, 1e-11)), S.Krylov(lx.BiCGStab(1e-5, 1e-5))),
    "newton": (S.Newton(**FINE), S.Newton()),
    "newton krylov": (S.NewtonKrylov(**FINE), S.NewtonKrylov()),
    "full approximation": (S.FullApproximation(**FINE), S.FullApproximation()),
    "sobolev descent": (S.SobolevDescent(**FINE), S.SobolevDescent()),
}
DEFAULT = [
    ("fast transform", "constant", "mixed", "f8"),
    ("fast transform", "constant complex", "centred", "f4"),
    ("cg", "positive", "robin", "f8"),
    ("cg", "singular", "slopes", "f8"),
    ("minres", "indefinite", "values", "f8"),
    ("gmres", "nonsymmetric", "mixed", "f4"),
    ("gmres", "complex", "impedance", "f8"),
    ("newton", "nonlinear", "ring", "f8"),
]
OTHERS = {
    ("fast transform", "constant"): ("values", "ring", "periodic", "centred", "slopes"),
    ("fast transform", "constant singular"): ("slopes", "periodic", "centred slopes"),
    ("fast transform", "constant complex"): ("values", "slopes", "periodic"),
    ("cg", "positive"): ("values", "mixed", "ring", "centred", "centred robin"),
    ("cg", "singular"): ("periodic", "centred slopes"),
    ("multigrid cg", "positive"): ("mixed", "values", "robin", "ring", "centred"),
    ("multigrid cg", "singular"): ("slopes", "periodic", "centred slopes"),
    ("minres", "positive"): ("mixed",),
    ("minres", "singular"): ("slopes", "centred slopes"),
    ("minres", "indefinite"): ("mixed", "robin", "periodic", "centred"),
    ("gmres", "positive"): ("values", "centred"),
    ("gmres", "singular"): ("slopes", "periodic"),
    ("gmres", "indefinite"): ("mixed", "ring"),
    ("gmres", "nonsymmetric"): ("values", "robin", "ring"),
    ("gmres", "complex"): ("values", "slopes", "periodic", "centred"),
    ("gmres multigrid", "nonsymmetric"): ("mixed", "robin", "ring"),
    ("gmres multigrid", "complex"): ("impedance", "mixed"),
    ("bicgstab", "nonsymmetric"): ("mixed",),
    ("newton", "nonlinear"): ("values", "mixed", "robin", "centred"),
    ("newton krylov", "nonlinear"): ("mixed", "ring"),
    ("full approximation", "nonlinear"): ("values", "mixed", "robin"),
    ("sobolev descent", "nonlinear"): ("values", "ring"),
}
OTHERS = [(m, kind, b, t) for (m, kind), ends in OTHERS.items() for b in ends for t in ("f4", "f8")[b != ends[0] :]]
ROWS = [*DEFAULT, *(pytest.param(*row, marks=SLOW) for row in OTHERS if row not in DEFAULT)]


@pytest.fixture(autouse=True)
def coarse_grids(monkeypatch):
    """Multigrid has a coarser level even on these grids."""
    monkeypatch.setattr(_hierarchy, "_COARSEST", 20)


@eqx.filter_jit
def everything(method, kind, boundary, weights, points, direction):
    """Solution and forward derivative at the first of `points`; targets, solutions and gradients at all of them."""

    def target(data):
        grid = make_grid(boundary, data["edge"])
        a, f = (pj.GridField(data[name][None], grid.as_coefficient()) for name in "af")
        solution = pj.solve(pj.SteadyProblem(EQUATIONS[kind](a, f), grid), method, throw=False)
        u = solution.value.values[0]
        return jnp.sum(weights * u.real + jnp.flip(weights) * u.imag), (u, solution.ok)

    first = jax.tree.map(lambda x: x[0], points)
    _, pushed, one = jax.jvp(target, (first,), (direction,), has_aux=True)
    return one, pushed, jax.vmap(jax.value_and_grad(target, has_aux=True))(points)


@pytest.mark.parametrize("method,kind,boundary,precision", ROWS, ids=lambda x: x)
def test_steady(method, kind, boundary, precision):
    point, step = random_data(kind, boundary)
    at = lambda t: {name: np.asarray(point[name] + t * step[name]) for name in point}
    cast = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, precision), tree)
    double = precision == "f8"
    weights = np.random.default_rng(4).uniform(size=SHAPE)
    points = jax.tree.map(lambda *x: np.stack(x), at(0.0), at(0.6))
    (u, ok), pushed, ((_, (lanes, fine)), slope) = everything(
        METHODS[method][0 if double else 1], kind, boundary, cast(weights), cast(points), cast(step)
    )
    assert bool(ok) and np.all(fine)
    assert u.dtype == (precision if np.isrealobj(u) else {"f4": "c8", "f8": "c16"}[precision])
    assert np.iscomplexobj(u) == ("complex" in kind) and slope["a"].dtype == precision

    def target(t):
        exact = truth(kind, boundary, at(t))
        return np.sum(weights * exact.real + np.flip(weights) * exact.imag)

    tolerance = 1e-7 if double else 2e-3
    h = 1e-4
    for lane, t in enumerate((0.0, 0.6)):
        exact = truth(kind, boundary, at(t))
        size = np.abs(exact).max()
        np.testing.assert_allclose(lanes[lane], exact, atol=tolerance * size)
        if lane == 0:
            np.testing.assert_allclose(u, exact, atol=tolerance * size)
        central = (target(t + h) - target(t - h)) / (2 * h)
        pulled = sum(np.sum(np.asarray(slope[name][lane]) * step[name]) for name in step)
        np.testing.assert_allclose(pulled, central, rtol=20 * tolerance)
        if lane == 0:
            np.testing.assert_allclose(pushed, central, rtol=20 * tolerance)
