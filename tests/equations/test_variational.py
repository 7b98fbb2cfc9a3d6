"""Energies: residuals against hand derivations and classical solutions, cells on finite difference axes, variations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import (
    diffuse,
    discrete_energy,
    first_variation,
    functional_derivative,
    grad,
    inner,
    integrate,
    second_variation,
)
from pdejax.fields import sample
from pdejax.solvers import SobolevDescent

E = pj.equations
D, N = pj.Dirichlet, pj.Neumann
LINEAR = lambda s: (1.0, 0.0)  # a(s) and a'(s)
# Stiffness a(s) with its slope, and g(u) - f, derived by hand for f = 1 / 2.
HAND = {
    "quasilinear": (
        E.QuasilinearPoisson(lambda s: s + s**2 / 4, lambda v: v**4 / 4, 0.5),
        lambda s: (1 + s / 2, 0.5),
        lambda u: u**3 - 0.5,
    ),
    "p-laplace": (
        E.PLaplace(3.0, 0.2, 0.5),
        lambda s: (np.sqrt(s + 0.04), 0.5 / np.sqrt(s + 0.04)),
        lambda u: -0.5,
    ),
    "minimal surface": (E.MinimalSurface(0.5), lambda s: ((1 + s) ** -0.5, -0.5 * (1 + s) ** -1.5), lambda u: -0.5),
    "poisson-boltzmann": (E.PoissonBoltzmann(1.0, 2.0, 0.5), LINEAR, lambda u: 4 * np.sinh(u) - 0.5),
    "bratu": (E.Bratu(3.0, 0.5), LINEAR, lambda u: -3 * np.exp(u) - 0.5),
    "ginzburg-landau": (E.GinzburgLandauSteady(1.0, 0.5), LINEAR, lambda u: (u**2 - 1) * u - 0.5),
}


def wave(x, y):
    return 0.4 * jnp.sin(x) * jnp.cos(y) + 0.2 * jnp.cos(x)


def by_hand(points, stiffness, rest):
    """`-a lap u - 2 a'(s) grad u . (hess u) grad u + g(u) - f` at points."""
    u = lambda p: wave(p[0], p[1])
    value, p, h = (np.asarray(jax.vmap(f)(points)) for f in (u, jax.grad(u), jax.hessian(u)))
    a, slope = stiffness(np.sum(p**2, axis=1))
    bent = np.einsum("ni,nij,nj->n", p, h, p)
    return -a * np.trace(h, axis1=1, axis2=2) - 2 * slope * bent + rest(value)


@pytest.mark.parametrize("name", HAND)
def test_residuals_agree_with_hand_derivations(name):
    equation, stiffness, rest = HAND[name]
    function = pj.FunctionField.from_function(wave, ("x", "y"))
    points = jnp.asarray(np.random.default_rng(0).uniform(-2, 2, (7, 2)))
    got = jax.jit(lambda points: equation.residual(function)(points))(points)[:, 0]
    np.testing.assert_allclose(got, by_hand(points, stiffness, rest), atol=1e-10)
    grid = pj.Grid(x=pj.Fourier(40), y=pj.Fourier(41))
    nodes = jnp.asarray(grid.mesh().reshape(2, -1).T)
    got = jax.jit(lambda v: equation.residual(pj.GridField(v, grid)).values)(sample(function, grid).values)
    np.testing.assert_allclose(got.ravel(), by_hand(nodes, stiffness, rest), atol=1e-10)


@pytest.mark.parametrize("ends", ["dirichlet", "neumann", "centred"])
def test_cell_energies_converge_with_second_order_up_to_the_ends(ends):
    """`u = sin(x + 1/2)` on [0, 1] with its own values or slopes at the ends, non-quadratic energy; trivial along y."""
    equation = HAND["quasilinear"][0]
    lower, upper = (D, N)[ends == "neumann"], D
    exact = lambda x: 0.4 * np.sin(x + 0.5)

    def error(n):
        value = (lambda x: 0.4 * np.cos(x + 0.5)) if ends == "neumann" else exact
        line = pj.Uniform(n, lower=lower(value(0.0)), upper=upper(exact(1.0)), centred=ends == "centred")
        grid = pj.Grid(x=line, y=pj.Uniform(4, lower=pj.Periodic(), upper=pj.Periodic()))
        field = pj.GridField(jnp.asarray(np.broadcast_to(exact(line.points)[:, None], grid.shape))[None], grid)
        u, p, h = exact(line.points), 0.4 * np.cos(line.points + 0.5), -exact(line.points)
        hand = -(1 + 1.5 * p**2) * h + u**3 - 0.5
        got = np.asarray(jax.jit(lambda v: equation.residual(field.with_values(v)).values)(field.values))[0]
        assert np.abs(got - got[:, :1]).max() < 1e-10
        # The first and last equation of a flux form are consistent to lower order while solutions are not.
        return np.abs(got[:, 0] - hand)[1:-1].max(), np.abs(got[:, 0] - hand)[[0, -1]].max()

    (inside, at_ends), (finer, finer_ends) = error(20), error(40)
    assert 3.5 < inside / finer < 4.6
    assert ends == "centred" or at_ends / finer_ends > 1.7


def test_quadratic_cell_energies_are_the_flux_form_and_all_have_symmetric_hessians():
    grid = pj.Grid(
        x=pj.Uniform(7, lower=N(0.3), upper=D(0.2), centred=True), y=pj.Uniform(8, lower=pj.grids.Held(), upper=N(-0.2))
    )
    random = lambda seed: pj.GridField(jnp.asarray(np.random.default_rng(seed).standard_normal((1, 7, 8))), grid)
    u, v, w = random(0), random(1), random(2)
    a = u.with_values(1 + u.values**2)
    quadratic = lambda u: 0.5 * integrate(a * grad(u)[0] ** 2 + a * grad(u)[1] ** 2)
    got, expected = functional_derivative(quadratic, u).values, -diffuse(a, u).values
    # Held ends are no equations, and the flux form extrapolates `a` to the faces at Neumann ends of centred axes.
    np.testing.assert_allclose(got[:, 1:, 1:], expected[:, 1:, 1:], atol=1e-10)
    # Flat Neumann ends, where the flux adds nothing; the Held layer is no unknown.
    weights, energy = grid.weights()[None], E.PLaplace(3.0, 0.2).energy
    known = jnp.zeros((1, 7, 8)).at[..., 1:].set(1.0)
    free = grid.replace(x=pj.Uniform(7, lower=N(0.0), upper=D(0.2), centred=True))
    free = free.replace(y=pj.Uniform(8, lower=pj.grids.Held(), upper=N(0.0)))
    u = u.with_grid(free)
    hessian = jax.jit(lambda p: second_variation(energy, u, u.with_values(p)).values)
    product = lambda p, q: float(jnp.sum(weights * p * hessian(q)))
    p, q = known * v.values, known * w.values
    assert abs(product(p, q) - product(q, p)) < 1e-10 * abs(product(p, p)) and product(p, p) > 0


def solve_line(equation, line, exact, **settings):
    grid = pj.Grid(x=line)
    solution = pj.solve(pj.SteadyProblem(equation, grid), SobolevDescent(**settings))
    return np.abs(np.asarray(solution.value.values[0]) - exact(line.points)).max()


def bratu(x):
    # u = -2 log(cosh((x - 1/2) t / 2) / cosh(t / 4)), t = sqrt(2 l) cosh(t / 4) for l = 2.
    t = 2.3575510538774020
    return -2 * np.log(np.cosh((x - 0.5) * t / 2) / np.cosh(t / 4))


def gouy_chapman(x):
    return 4 * np.arctanh(np.tanh(0.5) * np.exp(-2 * x))


LINES = {
    "bratu": (E.Bratu(2.0), pj.Uniform(65, lower=D(0.0), upper=D(0.0)), bratu, 1e-4),
    "catenoid": (
        # The surface of revolution r = cosh(z) as a graph z = arccosh(r) over a line: area with weight r.
        None,
        pj.Uniform(65, length=1.5, start=1.5, lower=D(np.arccosh(1.5)), upper=D(np.arccosh(3.0))),
        np.arccosh,
        2e-4,
    ),
    "gouy-chapman": (
        E.PoissonBoltzmann(1.0, 2.0, 0.0),
        pj.Uniform(65, length=2.0, lower=D(2.0), upper=D(gouy_chapman(2.0))),
        gouy_chapman,
        1e-3,
    ),
    "kink": (
        E.GinzburgLandauSteady(0.2),
        pj.Uniform(65, lower=D(0.0), upper=D(np.tanh(1 / (0.2 * np.sqrt(2))))),
        lambda x: np.tanh(x / (0.2 * np.sqrt(2))),
        1e-3,
    ),
    # |u'|^2 u' = 1 - x + 1 / 8 with u(0) = 0 and slope 1 / 2 at the end.
    "p-laplace": (
        E.PLaplace(4.0, 0.0),
        pj.Uniform(65, lower=D(0.0), upper=N(0.5)),
        lambda x: 0.75 * ((9 / 8) ** (4 / 3) - (9 / 8 - x) ** (4 / 3)),
        1e-4,
    ),
}


class Revolution(E.AbstractVariational):
    """Area of a surface of revolution `z = u(r)`: `int r sqrt(1 + u_r^2) dr`."""

    def energy(self, u):
        r = pj.FunctionField.from_function(lambda x: x, ("x",))
        return integrate(r * (grad(u) ** 2 + 1.0) ** 0.5)


@pytest.mark.parametrize("name", LINES)
def test_classical_solutions(name):
    equation, line, exact, bound = LINES[name]
    assert solve_line(equation or Revolution(), line, exact) < bound


def test_variations_are_derivatives_of_the_energy():
    grid = pj.Grid(x=pj.Uniform(9, lower=D(0.0), upper=N(0.0)), y=pj.Uniform(8, lower=D(0.0), upper=D(0.0)))
    energy = HAND["minimal surface"][0].energy
    random = np.random.default_rng(0)
    u, v = (pj.GridField(jnp.asarray(random.standard_normal((1, 9, 8))), grid) for _ in range(2))
    total = jax.jit(lambda s: discrete_energy(energy, u.with_values(u.values + s * v.values)))
    h = 1e-4
    np.testing.assert_allclose(first_variation(energy, u, v), (total(h) - total(-h)) / (2 * h), rtol=1e-7)
    bump = v.with_values(v.values.at[:, 0].set(0.0).at[..., [0, -1]].set(0.0))
    weak = jnp.sum(inner(functional_derivative(energy, u), bump.as_values()))
    np.testing.assert_allclose(first_variation(energy, u, bump), weak, rtol=1e-10)
    with pytest.raises(TypeError, match="no domain"):
        first_variation(energy, pj.FunctionField.from_function(wave, ("x", "y")), v)


def test_second_variation_of_functions():
    """Of `int sqrt(1 + u_x^2)` at u along v: `-(v_x (1 + u_x^2)^(-3/2))_x`."""
    u, v = (pj.FunctionField.from_function(f, ("x",)) for f in (jnp.sin, jnp.exp))
    x = jnp.linspace(-1, 1, 5)
    by_hand = jax.vmap(jax.grad(lambda x: -jnp.exp(x) * (1 + jnp.cos(x) ** 2) ** -1.5))(x)
    got = second_variation(E.MinimalSurface().energy, u, v)(x[:, None])[:, 0]
    np.testing.assert_allclose(got, by_hand, atol=1e-12)


def test_complex_order_parameters_are_two_channels():
    """A phase factor commutes with the residual; a vortex of winding one keeps its zero in the middle."""
    ends = {"lower": pj.Free(), "upper": pj.Free()}
    grid = pj.Grid(x=pj.Uniform(11, 2.0, -1.0, **ends), y=pj.Uniform(11, 2.0, -1.0, **ends))
    equation = E.GinzburgLandauSteady(0.5)
    u = pj.GridField.from_function(lambda x, y: (jnp.tanh(2 * x), jnp.tanh(2 * y)), grid)
    residual = jax.jit(lambda v: equation.residual(u.with_values(v)).values)
    turned = lambda v: jnp.stack([0.6 * v[0] - 0.8 * v[1], 0.8 * v[0] + 0.6 * v[1]])
    np.testing.assert_allclose(residual(turned(u.values)), turned(residual(u.values)), atol=1e-11)
    assert float(jnp.abs(residual(u.values)[:, 5, 5]).max()) < 1e-12


def test_refusals():
    with pytest.raises(ValueError, match="exponent=1.5"):
        E.PLaplace(1.0)
    with pytest.raises(ValueError, match="positive permittivity"):
        E.PoissonBoltzmann(-1.0)
