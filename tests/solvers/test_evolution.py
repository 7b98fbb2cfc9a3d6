"""Time steppers: observed order for every equation, data by others, gradients, batches, saving, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pdejax as pj
from pdejax.calculus import d, laplacian, norm
from pdejax.fields import sample
from pdejax.verify import observed_order, taylor_test

E = pj.equations


def start(example, n):
    grid = pj.Grid(**{name: pj.Fourier(n, length=length, start=s) for name, (s, length) in example.domain.items()})
    return sample(example.solution.at(t=0.0), grid)


@pytest.mark.parametrize("cls", [E.Advection, E.Diffusion, E.AdvectionDiffusion, E.NavierStokesVorticity])
def test_etdrk4_is_exact_where_the_nonlinear_part_vanishes(cls):
    example = cls.example()
    u0 = start(example, 32)
    u = pj.solve(pj.EvolutionProblem(example.equation, u0), pj.solvers.ETDRK4(dt=0.25)).value
    exact = sample(example.solution.at(t=1.0), u0.grid)
    assert norm(u - exact) < 1e-12 * norm(exact)


# Sizes in the asymptotic range above rounding; the error of the space discretisation is far below.
ORDERS = [
    (E.Burgers, 64, (4, 8, 16), 1.0),
    (E.KortewegDeVries, 512, (400, 800, 1600), 1.0),
    (E.KuramotoSivashinsky, 32, (40, 80, 160), 1.0),
    (E.AllenCahn, 32, (10, 20, 40), 1.0),
]


@pytest.mark.parametrize("cls,n,steps,t1", ORDERS, ids=lambda v: getattr(v, "__name__", None))
def test_etdrk4_order(cls, n, steps, t1):
    example = cls.example()
    u0 = start(example, n)
    exact = sample(example.solution.at(t=t1), u0.grid)
    problem = pj.EvolutionProblem(example.equation, u0, t1=t1)
    error = lambda k: norm(pj.solve(problem, pj.solvers.ETDRK4(dt=t1 / k, dealias=2.0)).value - exact)
    assert abs(observed_order(error, steps) - 4) < 0.15


def test_etdrk4_keeps_its_order_for_dispersive_and_damped_waves_with_nonlinear_terms():
    """Linear equations are exact; with advection in the nonlinear part the others show their order as well."""

    class Wave(E.AbstractEvolution):
        equation: E.AbstractEvolution

        def linear(self, u):
            return self.equation.linear(u)

        def nonlinear(self, u, t):
            return -0.3 * d(u, u.space_names[0])

    for cls in (E.Advection, E.Diffusion, E.AdvectionDiffusion, E.NavierStokesVorticity):
        example = cls.example()
        u0 = start(example, 16)
        wave = Wave(example.equation)
        moved = u0.grid.names[0]
        exact_wave = pj.solve(pj.EvolutionProblem(wave, u0), pj.solvers.ETDRK4(dt=1 / 512)).value
        assert moved in exact_wave.names
        error = lambda k, w=wave, u=u0, e=exact_wave: norm(
            pj.solve(pj.EvolutionProblem(w, u), pj.solvers.ETDRK4(dt=1 / k)).value - e
        )
        assert abs(observed_order(error, (4, 8, 16)) - 4) < 0.15, cls.__name__


def test_rk4_order_and_agreement_with_scipy():
    grid = pj.Grid(x=pj.Fourier(24))
    u0 = pj.GridField.from_function(lambda x: jnp.sin(x) + 0.3 * jnp.cos(2 * x), grid)
    equation = E.Burgers(0.1)
    k = np.fft.rfftfreq(24, 1 / 24)

    def rate(t, v):
        c = np.fft.rfft(v)
        wide = np.fft.irfft(np.concatenate([c[:12], np.zeros(18 - 11)]), 36) * 1.5
        square = np.fft.rfft(wide**2)[:13] / 1.5
        square[12] = 0
        return np.fft.irfft(-0.1 * k**2 * c - 0.5j * k * np.where(k == 12, 0, 1) * square, 24)

    exact = solve_ivp(rate, (0, 1), np.asarray(u0.values[0]), rtol=1e-12, atol=1e-13).y[:, -1]
    problem = pj.EvolutionProblem(equation, u0)
    np.testing.assert_allclose(pj.solve(problem, pj.solvers.ETDRK4(dt=0.002)).value.values[0], exact, atol=1e-9)
    reference = pj.GridField(jnp.asarray(exact)[None], grid)
    error = lambda n: norm(pj.solve(problem, pj.solvers.RK4(dt=1 / n)).value - reference)
    assert abs(observed_order(error, (40, 80, 160)) - 4) < 0.15


@pytest.mark.parametrize("axis", [pj.Cosine(33), pj.Uniform(65, lower=pj.Neumann(0.0), upper=pj.Neumann(0.0), order=2)])
def test_heat_with_no_flux_ends(axis):
    u0 = pj.GridField.from_function(lambda x: 1 + jnp.cos(np.pi * x), pj.Grid(x=axis))
    u = pj.solve(pj.EvolutionProblem(E.Diffusion(0.1), u0), pj.solvers.ETDRK4(dt=0.1)).value
    exact = 1 + np.exp(-0.1 * np.pi**2) * np.cos(np.pi * axis.points)
    np.testing.assert_allclose(u.values[0], exact, atol=1e-12 if isinstance(axis, pj.Cosine) else 2e-4)


def test_rk4_holds_dirichlet_values_on_uniform_axes():
    grid = pj.Grid(x=pj.Uniform(33, lower=pj.Dirichlet(1.0), upper=pj.Dirichlet(3.0), order=4))
    u0 = pj.GridField.from_function(lambda x: 1 + 2 * x + jnp.sin(np.pi * x), grid)
    u = pj.solve(pj.EvolutionProblem(E.Diffusion(0.2), u0), pj.solvers.RK4(dt=1e-3)).value
    x = grid.axis("x").points
    np.testing.assert_allclose(u.values[0], 1 + 2 * x + np.exp(-0.2 * np.pi**2) * np.sin(np.pi * x), atol=1e-5)


def test_coupled_channels_get_a_matrix_symbol():
    """The wave equation as a system: u_t = v, v_t = c^2 u_xx, whose symbol is a 2x2 matrix, defective at k = 0."""

    class Wave(E.AbstractEvolution):
        def linear(self, u):
            return pj.stack([u[1], 4.0 * laplacian(u[0])])

        def nonlinear(self, u, t):
            return 0.0 * u

    grid = pj.Grid(x=pj.Fourier(16))
    u0 = pj.GridField.from_function(lambda x: (jnp.sin(x), 1 + 0 * x), grid)
    u = pj.solve(pj.EvolutionProblem(Wave(), u0), pj.solvers.ETDRK4(dt=0.5)).value
    x = grid.axis("x").points
    np.testing.assert_allclose(u.values[0], np.cos(2.0) * np.sin(x) + 1.0, atol=1e-12)
    np.testing.assert_allclose(u.values[1], -2 * np.sin(2.0) * np.sin(x) + 1, atol=1e-12)


def burgers(nu, u0, adjoint=None):
    return norm(
        pj.solve(pj.EvolutionProblem(E.Burgers(nu), u0, t1=0.5), pj.solvers.ETDRK4(dt=0.05), adjoint=adjoint).value
    )


@pytest.mark.parametrize("adjoint", [pj.solvers.CheckpointedAdjoint(), pj.solvers.UnrolledAdjoint()])
def test_gradients_by_taylor_test(adjoint):
    u0 = pj.GridField.from_function(lambda x: jnp.sin(x), pj.Grid(x=pj.Fourier(16)))
    order = taylor_test(
        lambda p: burgers(p[0], p[1], adjoint), (jnp.asarray(0.3), u0), key=jax.random.key(0), step=1e-3
    )
    assert abs(order - 2) < 0.1


def test_forward_reverse_and_finite_differences_agree():
    u0 = pj.GridField.from_function(lambda x: jnp.sin(x), pj.Grid(x=pj.Fourier(16)))
    nu = jnp.asarray(0.3)
    forward = jax.jvp(lambda v: burgers(v, u0, pj.solvers.UnrolledAdjoint()), (nu,), (jnp.ones_like(nu),))[1]
    reverse = jax.grad(lambda v: burgers(v, u0))(nu)
    central = (burgers(nu + 1e-5, u0) - burgers(nu - 1e-5, u0)) / 2e-5
    np.testing.assert_allclose(reverse, forward, rtol=1e-10)
    np.testing.assert_allclose(reverse, central, rtol=1e-7)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_batches_saved_times_and_dtype(dtype):
    grid = pj.Grid(x=pj.Fourier(16))
    values = jnp.asarray(np.random.default_rng(0).standard_normal((3, 1, 16)), dtype)
    times = np.linspace(0, 1, 5)
    run = lambda v: pj.solve(
        pj.EvolutionProblem(E.Burgers(0.1), pj.GridField(v, grid)), pj.solvers.ETDRK4(dt=0.05), save_at=times
    )
    batch = jax.vmap(run)(values)
    assert batch.value.values.shape == (3, 5, 1, 16) and batch.value.dtype == dtype and batch.ts.dtype == dtype
    assert batch.stats["method"] == "ETDRK4" and batch.stats["num_steps"].tolist() == [20] * 3
    one = run(values[1])
    tolerance = 1e-5 if dtype == jnp.float32 else 1e-13
    np.testing.assert_allclose(batch.value.values[1], one.value.values, atol=tolerance)
    np.testing.assert_allclose(one.value.values[0], values[1], atol=tolerance)
    nus = jax.vmap(
        lambda nu: (
            pj.solve(pj.EvolutionProblem(E.Burgers(nu), pj.GridField(values[0], grid)), pj.solvers.ETDRK4(0.05)).value
        )
    )(jnp.asarray([0.1, 0.2], dtype))
    assert nus.values.shape == (2, 1, 16) and not np.allclose(nus.values[0], nus.values[1])


def test_a_second_call_does_not_compile(caplog):
    u0 = pj.GridField.from_function(lambda x: jnp.sin(x), pj.Grid(x=pj.Fourier(16)))
    solve = lambda nu, u: pj.solve(pj.EvolutionProblem(E.Burgers(nu), u), pj.solvers.ETDRK4(dt=0.1)).value.values
    solve(0.1, u0)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        solve(0.2, u0.with_values(2 * u0.values)).block_until_ready()
    compiled = [
        r.getMessage() for r in caplog.records if r.getMessage().startswith("Compiling") and "_run" in r.getMessage()
    ]
    assert not compiled, compiled


def test_progress_is_told():
    seen = []
    u0 = pj.GridField.from_function(lambda x: jnp.sin(x), pj.Grid(x=pj.Fourier(16)))
    pj.solve(
        pj.EvolutionProblem(E.Burgers(0.1), u0),
        pj.solvers.ETDRK4(dt=0.05),
        progress=lambda k, n: seen.append((int(k), int(n))),
    )
    jax.effects_barrier()
    assert seen[-1] == (20, 20) and len(seen) == 20


def test_nonlinear_linear_part_is_refused():
    class Wrong(E.AbstractEvolution):
        def linear(self, u):
            return -(u**2)

        def nonlinear(self, u, t):
            return 0.0 * u

    u0 = pj.GridField(jnp.ones((1, 8)), pj.Grid(x=pj.Fourier(8)))
    with pytest.raises(ValueError, match="Wrong is not linear"):
        pj.solve(pj.EvolutionProblem(Wrong(), u0), pj.solvers.ETDRK4(dt=0.1))


def _problem(**kwargs):
    return pj.EvolutionProblem(E.Burgers(0.1), pj.GridField(jnp.ones((1, 8)), pj.Grid(x=pj.Fourier(8))), **kwargs)


@pytest.mark.parametrize(
    "make,word",
    [
        (lambda: pj.solvers.ETDRK4(dt=0.0), "positive step"),
        (lambda: pj.solvers.RK4(dt=-1.0), "positive step"),
        (lambda: _problem(t0=1.0, t1=1.0), "t0=1, t1=1"),
        (
            lambda: pj.EvolutionProblem(
                E.Burgers(), pj.GridField(jnp.array([[1.0, np.nan, 2.0]]), pj.Grid(x=pj.Fourier(3)))
            ),
            "index \\(0, 1\\)",
        ),
        (lambda: pj.solve(_problem()), "ETDRK4\\(dt="),
        (lambda: pj.solve(_problem(), pj.solvers.ETDRK4(0.1), save_at=[0.05]), "not a multiple"),
        (lambda: pj.solve(_problem(), pj.solvers.ETDRK4(0.1), save_at=[2.0]), "between t0=0 and t1=1"),
        (lambda: pj.solve(_problem(), pj.solvers.ETDRK4(0.1), max_steps=3), "max_steps=3"),
        (
            lambda: pj.solve(
                pj.EvolutionProblem(E.Advection(), pj.GridField(jnp.ones((1, 9)), pj.Grid(x=pj.Sine(9)))),
                pj.solvers.ETDRK4(0.1),
            ),
            "RK4",
        ),
    ],
)
def test_bad_input_is_refused_with_advice(make, word):
    with pytest.raises(ValueError, match=word):
        make()


def test_a_blown_up_run_never_reports_success():
    u0 = pj.GridField.from_function(lambda x: 1e3 * jnp.sin(x), pj.Grid(x=pj.Fourier(32)))
    problem = pj.EvolutionProblem(E.Burgers(1e-3), u0)
    with pytest.raises(pj.solvers.SolveError, match="smaller dt"):
        pj.solve(problem, pj.solvers.RK4(dt=0.1))
    solution = pj.solve(problem, pj.solvers.RK4(dt=0.1), throw=False, save_at=np.linspace(0, 1, 11))
    assert not solution.ok and 0 < solution.stats["nonfinite_at"] <= 1


def test_boundary_values_are_known_or_varied_inside_jit():
    def final(left, inside):
        ends = {"lower": pj.Dirichlet(left), "upper": pj.Dirichlet(0.0)}
        grid = pj.Grid(x=pj.Uniform(17, **ends))
        u0 = pj.GridField(jnp.zeros((1, 17)), grid)
        solve = lambda u0: pj.solve(pj.EvolutionProblem(pj.equations.Diffusion(), u0), pj.solvers.ETDRK4(dt=0.25))
        return (jax.jit(solve) if inside else solve)(u0).value.values

    np.testing.assert_allclose(final(2.0, True), final(2.0, False), rtol=1e-12)
    # Steady by then: a straight line, whose middle is half of the end.
    np.testing.assert_allclose(jax.grad(lambda left: final(left, False)[0, 8])(2.0), 0.5, rtol=1e-3)


@pytest.mark.parametrize("stepper", [pj.solvers.Strang, pj.solvers.IFRK4])
def test_steppers_that_lose_the_balance_with_boundary_values_refuse_them(stepper):
    grid = pj.Grid(x=pj.Uniform(17, lower=pj.Dirichlet(1.0), upper=pj.Dirichlet(0.0)))
    problem = pj.EvolutionProblem(pj.equations.Diffusion(), pj.GridField(jnp.zeros((1, 17)), grid))
    with pytest.raises(ValueError, match=r"boundary values other than zero; write ETDRK4\(dt=0.1\)"):
        pj.solve(problem, stepper(dt=0.1))


@pytest.mark.parametrize("dealias", [2 / 3, 1.0, 3 / 2])
@pytest.mark.parametrize("method", [pj.solvers.ETDRK2, pj.solvers.RK4])
def test_nothing_grows_where_no_product_sees_it(method, dealias):
    # Small waves grow by e^40 unless the cubic term stops them: so would modes that products drop, and the part of the
    # spectrum with c(-k) != conj(c(k)), which no values show.
    grid = pj.Grid(x=pj.Fourier(8), y=pj.Fourier(8))
    equation = pj.equations.AllenCahn(diffusivity=1e-3, reaction=1.0)
    u0 = pj.GridField(jnp.asarray(np.random.default_rng(0).uniform(-1e-3, 1e-3, (1, 8, 8)), jnp.float32), grid)
    end = pj.solve(pj.EvolutionProblem(equation, u0, t1=40.0), method(dt=0.05, dealias=dealias)).value
    assert 0.9 < jnp.max(jnp.abs(end.values)) < 2.0
