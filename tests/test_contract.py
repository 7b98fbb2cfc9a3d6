"""The names that users type: the calls of the design page, at small sizes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import pdejax as pj
from pdejax.calculus import d, diffuse, laplacian, norm


def test_evolution():
    grid = pj.Grid(x=pj.Fourier(16, length=2 * jnp.pi), y=pj.Fourier(18, length=2 * jnp.pi))
    u0 = pj.GridField.from_function(lambda x, y: jnp.sin(x) * jnp.cos(y), grid)
    assert u0.values.shape == (1, 16, 18)
    equation = pj.equations.NavierStokesVorticity(viscosity=1e-3)
    problem = pj.EvolutionProblem(equation, u0, t0=0.0, t1=1.0)
    solution = pj.solve(problem, pj.solvers.ETDRK4(dt=1e-2), save_at=jnp.linspace(0, 1, 11))
    assert solution.value.values.shape == (11, 1, 16, 18) and solution.ts.shape == (11,)
    assert bool(solution.ok) and solution.stats["dealias"] == "1.5" and solution.error is None


def test_steady():
    grid = pj.Grid(x=pj.Sine(17), y=pj.Sine(19))
    a = pj.GridField.from_function(lambda x, y: 2 + jnp.cos(jnp.pi * x), grid.as_coefficient())
    f = pj.GridField.from_function(lambda x, y: jnp.sin(jnp.pi * x) * jnp.sin(jnp.pi * y), grid)
    darcy = pj.equations.Darcy(permeability=a, source=f)
    solution = pj.solve(pj.SteadyProblem(darcy, grid))
    assert solution.stats["method"] == "ConjugateGradient" and "self-adjoint" in solution.stats["reason"]
    assert solution.error < 2e-8
    assert norm(diffuse(a, solution.value) + f, -1.0) < 1e-7 * norm(f, -1.0)


def test_network_as_a_field():
    mlp = eqx.nn.MLP(2, 1, 8, 2, activation=jnp.tanh, key=jax.random.key(0))
    net = pj.FunctionField(mlp, coordinates=("t", "x"))
    residual = pj.equations.Burgers(viscosity=1e-2).residual(net)
    points = jnp.ones((5, 2))
    expected = d(net, "t") + net * d(net, "x") - 1e-2 * laplacian(net)
    assert residual(points).shape == (5, 1)
    assert jnp.allclose(residual(points), expected(points), atol=1e-12)


def test_operator_and_training():
    grid = pj.Grid(x=pj.Uniform(9), y=pj.Uniform(9))
    inputs = jax.random.normal(jax.random.key(0), (6, 1, 9, 9))
    dataset = pj.data.Dataset(inputs, jnp.cumsum(inputs, axis=-1), grid, name="sums", metadata={})
    model = pj.operators.FNO(in_channels=1, out_channels=1, modes=3, width=4, depth=2, ndim=2, key=jax.random.key(1))
    result = pj.training.fit(
        model,
        dataset,
        loss=pj.objectives.relative_l2,
        optimizer=optax.adamw(1e-3),
        steps=4,
        batch_size=3,
        key=jax.random.key(2),
    )
    batch = jax.vmap(result.model)(dataset.input_fields())
    assert batch.values.shape == (6, 1, 9, 9) and result.stopped == "finished"
