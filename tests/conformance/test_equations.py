"""One row admits an equation: its exact solution, the order of a stepper, what it conserves, gradients, precisions,
dimensions and boundaries.
"""

import dataclasses
import inspect
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm, project
from pdejax.fields import sample
from pdejax.verify import catalogue, verify
from pdejax.verify._verify import free, in_time

E, S = pj.equations, pj.solvers
# Tests compile often and compute little.
FAST = {"xla_backend_optimization_level": 0}
PERIODIC = {"lower": pj.Periodic(), "upper": pj.Periodic()}


@dataclasses.dataclass
class Row:
    """What an equation admits: numbers of space axes, channels on so many axes, function fields, `even` and `odd`
    mirrors at the ends; `base` is a state around which small waves are harmless.
    """

    dims: tuple[int, ...] = (1, 2, 3)
    channels: Callable[[int], int] = lambda ndim: 1
    functions: bool = True
    even: bool = False
    odd: bool = False
    is_complex: bool = False
    base: tuple[float, ...] = (0.6,)
    axis: Callable[[int], object] = lambda n: pj.Fourier(n)


LINE, PLANE = {"dims": (1,)}, {"dims": (2,)}
MIRRORS = {"even": True, "odd": True}
SPECIES = {"channels": lambda ndim: 2, "even": True}
WAVES = {"channels": lambda ndim: 2, **MIRRORS}
FLOW = {"dims": (2, 3), "functions": False}
LATTICE = {"axis": lambda n: pj.Uniform(n, n, **PERIODIC)}
QUANTUM = {"is_complex": True, **MIRRORS}
ROWS = {
    "Acoustics": Row(channels=lambda ndim: 1 + ndim),
    "Advection": Row(),
    "AdvectionDiffusion": Row(),
    "AllenCahn": Row(**MIRRORS),
    "BenjaminOno": Row(**LINE, functions=False),
    "Biharmonic": Row(**MIRRORS),
    "Boussinesq": Row(**FLOW, channels=lambda ndim: 1 + ndim),
    "Bratu": Row(even=True),
    "Brusselator": Row(**SPECIES),
    "BuckleyLeverett": Row(),
    "Burgers": Row(channels=lambda ndim: ndim, odd=True),
    "CahnHilliard": Row(**MIRRORS),
    "CompressibleEuler": Row(channels=lambda ndim: 2 + ndim, base=(0.6, 0.1, 0.1, 0.1, 2.0)),
    "DampedWave": Row(**WAVES),
    "Darcy": Row(**MIRRORS),
    "Diffusion": Row(**MIRRORS),
    "DiffusionSorption": Row(even=True),
    "Dispersion": Row(),
    "FisherKPP": Row(even=True),
    "FitzHughNagumo": Row(**SPECIES),
    "FokkerPlanck": Row(),
    "GinzburgLandau": Row(**QUANTUM),
    "GinzburgLandauSteady": Row(**MIRRORS),
    "GrayScott": Row(**SPECIES),
    "GrossPitaevskii": Row(**QUANTUM),
    "HasegawaMima": Row(**PLANE),
    "Helmholtz": Row(**MIRRORS),
    "HyperDiffusion": Row(**MIRRORS),
    "InviscidBurgers": Row(),
    "Kawahara": Row(**LINE),
    "KleinGordon": Row(**WAVES),
    "KolmogorovFlow": Row(**PLANE),
    "KortewegDeVries": Row(**LINE),
    "KuramotoSivashinsky": Row(**LINE, odd=True),
    "KuramotoSivashinskyPotential": Row(even=True),
    "LargeEddySimulation": Row(**FLOW, channels=lambda ndim: ndim),
    "LinearElasticity": Row(dims=(2, 3), channels=lambda ndim: ndim),
    "LinearShallowWater": Row(channels=lambda ndim: 1 + ndim),
    "Lorenz63": Row(**LATTICE, channels=lambda ndim: 3),
    "Lorenz96": Row(**LATTICE),
    "LotkaVolterra": Row(**SPECIES),
    "MinimalSurface": Row(dims=(2, 1, 3)),
    "ModifiedKortewegDeVries": Row(**LINE),
    "MongeAmpere": Row(**PLANE),
    "NavierStokes": Row(**FLOW, channels=lambda ndim: ndim),
    "NavierStokesVorticity": Row(**PLANE),
    "Nikolaevskiy": Row(**LINE, odd=True),
    "NonlinearSchroedinger": Row(**QUANTUM),
    "Oregonator": Row(**SPECIES),
    "PLaplace": Row(),
    "Poisson": Row(**MIRRORS),
    "PoissonBoltzmann": Row(),
    "PorousMedium": Row(even=True),
    "QuasilinearPoisson": Row(),
    "Schnakenberg": Row(**SPECIES),
    "Schroedinger": Row(**QUANTUM),
    "ScreenedPoisson": Row(**MIRRORS),
    "SecondOrderReaction": Row(**SPECIES),
    "SemilinearPoisson": Row(**MIRRORS),
    "ShallowWater": Row(channels=lambda ndim: 1 + ndim, base=(0.6, 0.1, 0.1, 0.1)),
    "SineGordon": Row(**WAVES),
    "SteadyAdvectionDiffusion": Row(),
    "SurfaceQuasiGeostrophic": Row(**PLANE, functions=False),
    "SwiftHohenberg": Row(even=True),
    "ThinFilm": Row(even=True),
    "TrafficFlow": Row(**LINE),
    "TwoScaleLorenz96": Row(**LATTICE, channels=lambda ndim: 4),
    "Wave": Row(**WAVES),
}
STAGGERED = {"Stokes", "SteadyNavierStokes"}
EVOLUTIONS = [name for name in ROWS if issubclass(getattr(E, name), E.AbstractEvolution)]
# Minutes of compilation.
DEAR = {"LargeEddySimulation"}
# Several seconds each: `test_verify` alone finds the order of their steps.
DEAR_STEPS = DEAR | {
    "Acoustics",
    "Boussinesq",
    "CompressibleEuler",
    "HasegawaMima",
    "KuramotoSivashinskyPotential",
    "NavierStokes",
    "Nikolaevskiy",
    "ShallowWater",
    "SineGordon",
    "TwoScaleLorenz96",
    "Wave",
}


def dear(names, those=DEAR):
    return [pytest.param(name, marks=pytest.mark.slow) if name in those else name for name in names]


def test_every_equation_has_a_row():
    public = {
        name for name, value in vars(E).items() if inspect.isclass(value) and issubclass(value, E.AbstractEquation)
    }
    # Flows on staggered nodes have a suite of their own; the other three wrap equations that are given.
    public -= {"Closed", "Forced", "SteadyState", *STAGGERED}
    concrete = {name for name in public if not inspect.isabstract(getattr(E, name))}
    assert concrete == set(ROWS) == set(catalogue())


def grid_of(example, n, **time):
    axes = {name: pj.Fourier(n, length=length, start=start) for name, (start, length) in example.domain.items()}
    return pj.Grid(**time, **axes)


@pytest.mark.parametrize("name", dear(ROWS))
def test_residual_of_the_exact_solution(name):
    example = getattr(E, name).example()
    time = {"t": pj.Chebyshev(16, length=0.3, start=0.1)} if "t" in example.solution.names else {}
    grid = grid_of(example, example.nodes, **time)
    generator = np.random.default_rng(0)
    points = jnp.asarray(np.stack([generator.uniform(axis.start, axis.end, 5) for axis in grid.axes], axis=-1))

    def residuals(points):
        residual = example.equation.residual
        on_grid = residual(sample(example.solution, grid)).values
        return on_grid, residual(example.solution)(points) if ROWS[name].functions else points

    on_grid, at_points = jax.jit(residuals, compiler_options=FAST)(points)
    assert on_grid.real.dtype == jnp.float64
    assert jnp.max(jnp.abs(on_grid)) < 1e-8
    if ROWS[name].functions:
        assert jnp.max(jnp.abs(at_points)) < 1e-8
    else:
        with pytest.raises(TypeError):
            example.equation.residual(example.solution)(points)


@pytest.mark.parametrize("name", [name for name in EVOLUTIONS if name not in DEAR_STEPS])
def test_etdrk4_has_order_four(name):
    table = in_time(getattr(E, name).example(), S.ETDRK4)
    (error,) = table.columns
    assert error.ok and (error.exact or error.observed < 4.3), str(table)


def smooth(row, grid, dtype=jnp.float64):
    """Waves of all the longest lengths around the row's state, periodic."""
    generator, channels = np.random.default_rng(0), row.channels(len(grid.axes))
    turns = [2 * np.pi * (x - axis.start) / axis.length for x, axis in zip(grid.mesh(), grid.axes, strict=True)]
    base = np.resize(row.base[:-1] if len(row.base) > 1 else row.base, channels)
    base[-1] = row.base[-1]
    values = np.zeros((channels, *grid.shape), complex)
    for turn in [*turns, sum(turns), turns[0] - turns[-1]]:
        phase, size = generator.uniform(0, 6, (2, channels, *(1 for _ in grid.axes)))
        values += 0.03 * (1 + size / 6) * np.exp(1j * (turn + phase))
    values += base.reshape(-1, *(1 for _ in grid.axes))
    real = jnp.asarray(values.real, dtype)
    return pj.GridField(jax.lax.complex(real, jnp.asarray(values.imag, dtype)) if row.is_complex else real, grid)


def conserving(name):
    return getattr(E, name).invariants is not E.AbstractEvolution.invariants


@pytest.mark.parametrize("name", dear(filter(conserving, EVOLUTIONS)))
def test_invariants_stand_still(name):
    """Their derivative along `u_t` vanishes at any smooth field, on nodes that resolve products of four."""
    example, row = getattr(E, name).example(), ROWS[name]
    equation = free(example.equation)
    grid = grid_of(example, {1: 64, 2: 32, 3: 16}[len(example.domain)])
    u = smooth(row, grid)
    if row.functions is False and u.channels >= len(grid.axes) > 1:
        velocity = project(pj.stack([u[i] for i in range(len(grid.axes))]))
        u = pj.stack([velocity, *(u[i] for i in range(len(grid.axes), u.channels))]).as_values()

    def rates(values):
        rate = equation.tendency(u.with_values(values), jnp.zeros(())).values
        of = lambda v: {key: jnp.sum(value) for key, value in equation.invariants(u.with_values(v)).items()}
        slopes = {key: jax.grad(lambda v, key=key: of(v)[key])(values) for key in of(values)}
        return rate, {key: (jnp.sum((slope * rate).real), slope) for key, slope in slopes.items()}

    rate, found = jax.jit(rates, compiler_options=FAST)(u.values)
    assert found and jnp.max(jnp.abs(rate)) > 1e-5
    for key, (drift, slope) in found.items():
        assert abs(drift) < 1e-9 * jnp.linalg.norm(jnp.ravel(slope)) * jnp.linalg.norm(jnp.ravel(rate)), key


def plain(name):
    """The equation with its defaults; one has none for its law."""
    return getattr(E, name).example().equation if name == "QuasilinearPoisson" else getattr(E, name)()


def steps(name, method):
    """`(parameter, values, grid) -> (size of the solution, solution)`; the parameter is a factor of the equation's
    first one.
    """

    def run(factor, values, grid):
        equation = plain(name)
        first = next(iter(jax.tree.leaves(eqx.filter(equation, eqx.is_inexact_array))), None)
        if first is not None:
            scaled = first.astype(factor.dtype) * factor
            equation = jax.tree.map(lambda leaf: scaled if leaf is first else leaf, equation)
        field = pj.GridField(values, grid)
        if isinstance(equation, E.AbstractEvolution):
            solution = pj.solve(pj.EvolutionProblem(equation, field, t1=0.02), method)
        else:
            solution = pj.solve(
                pj.SteadyProblem(dataclasses.replace(equation, source=field), grid, channels=field.channels)
            )
        return norm(solution.value), solution.value.values

    return run


def differentiate_through_a_solve(name, ndim, dtype):
    row, n = ROWS[name], 6
    steady = name not in EVOLUTIONS
    ends = {"lower": pj.Dirichlet(0.0), "upper": pj.Dirichlet(0.0)}
    axis = (lambda n: pj.Uniform(n, **ends)) if steady else row.axis
    grid = pj.Grid(**{key: axis(n + 2 * i) for i, key in enumerate("xyz"[:ndim])})
    values = smooth(row, grid, dtype).values
    run = steps(name, S.ETDRK1(dt=0.01, dealias=1))
    one = jnp.ones((), dtype)
    both = jnp.stack([values, 1.01 * values])
    factors = jnp.stack([one, one * 1.1])

    def value_and_slope(factors, both):
        of = jax.value_and_grad(lambda f, v: run(f, v, grid), argnums=(0, 1), has_aux=True)
        return jax.vmap(of)(factors, both)

    compiled = jax.jit(value_and_slope, compiler_options=FAST)
    (sizes, solutions), (slope, slopes) = compiled(factors, both)
    assert sizes.dtype == slope.dtype == dtype and solutions.dtype == slopes.dtype == values.dtype
    assert solutions.shape == both.shape and jnp.all(jnp.isfinite(solutions))
    h = 1e-2 if dtype == jnp.float32 else 1e-4
    way = jnp.asarray(np.random.default_rng(1).standard_normal(values.shape), dtype).astype(values.dtype)
    ahead, behind = (compiled(factors + s * h, both + s * h * way[None])[0][0] for s in (1, -1))
    expected = (ahead - behind) / (2 * h)
    along = slope + jnp.sum((slopes * way[None]).real, axis=tuple(range(1, slopes.ndim)))
    np.testing.assert_allclose(along, expected, rtol=2e-2 if dtype == jnp.float32 else 1e-5, atol=10 * h**3)
    assert jnp.any(slopes != 0)


# Nonlinear steady equations compile a Newton method for five seconds each: one of them stands for all.
DEAR_SOLVES = DEAR | {"MongeAmpere", "MinimalSurface", "PLaplace", "SemilinearPoisson", "QuasilinearPoisson"}
DEAR_SOLVES |= {"PoissonBoltzmann", "GinzburgLandauSteady", "LinearElasticity", "Biharmonic"}


@pytest.mark.parametrize("name", dear(ROWS, DEAR_SOLVES))
def test_gradients_and_batches_through_a_solve(name):
    differentiate_through_a_solve(name, ROWS[name].dims[0], jnp.float64)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_other_dimensions_and_single_precision(name):
    row = ROWS[name]
    for ndim in row.dims[1:] or row.dims:
        differentiate_through_a_solve(name, ndim, jnp.float32)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.even or row.odd])
def test_mirrors_at_the_ends(name):
    """On cosine and sine axes, and Chebyshev ones, the equation reads as on functions."""
    row, equation = ROWS[name], plain(name)
    if not isinstance(equation, E.AbstractEvolution):
        equation = dataclasses.replace(equation, source=0.0)
    waves = {
        "even": lambda x: [0.6 + 0.1 * (1 + i) * jnp.cos(x) for i in range(row.channels(1))],
        "odd": lambda x: [0.5 * (1 + i) * jnp.sin(x) for i in range(row.channels(1))],
    }
    length = {"length": np.pi}
    cases = [(pj.Cosine(33, **length), "even"), (pj.Chebyshev(20, **length), "even")] * row.even
    cases += [(pj.Sine(33, **length), "odd")] * row.odd

    def function(kind):
        real = lambda x: jnp.stack(waves[kind](x))
        return pj.FunctionField.from_function(
            lambda x: jax.lax.complex(real(x), 0.3 * real(x)) if row.is_complex else tuple(waves[kind](x)), ("x",)
        )

    def read(u):
        return equation.tendency(u, 0.0) if isinstance(equation, E.AbstractEvolution) else equation.residual(u)

    def differences():
        pairs = [
            (read(sample(function(kind), pj.Grid(x=axis))), sample(read(function(kind)), pj.Grid(x=axis)))
            for axis, kind in cases
        ]
        return [(got.values, wanted.values) for got, wanted in pairs]

    for got, wanted in jax.jit(differences, compiler_options=FAST)():
        np.testing.assert_allclose(got, wanted, atol=1e-4 * float(1 + jnp.max(jnp.abs(wanted))))


@pytest.mark.slow
# By hand: ten minutes of compilation; Newton's method does not reach the tolerance of the last digits on every grid.
@pytest.mark.parametrize("name", [name for name in ROWS if name not in DEAR | {"PLaplace", "QuasilinearPoisson"}])
def test_verify(name):
    report = verify(getattr(E, name))
    assert report.ok, str(report)
