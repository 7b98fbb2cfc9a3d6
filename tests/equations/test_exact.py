"""One text, three readings: every equation's exact solution on a Fourier grid, as a function, and on finite
differences.
"""

import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.calculus import norm
from pdejax.fields import sample
from pdejax.verify import observed_order

NODES = {"Burgers": 48, "KortewegDeVries": 512, "NavierStokesVorticity": 16, "Diffusion": 16}
CLASSES = [
    pj.equations.Advection,
    pj.equations.Diffusion,
    pj.equations.AdvectionDiffusion,
    pj.equations.Burgers,
    pj.equations.KortewegDeVries,
    pj.equations.KuramotoSivashinsky,
    pj.equations.AllenCahn,
    pj.equations.NavierStokesVorticity,
    pj.equations.Poisson,
    pj.equations.Darcy,
    pj.equations.Helmholtz,
    pj.equations.SemilinearPoisson,
]


def grid_of(example, axis):
    time = {"t": pj.Chebyshev(18, length=0.4, start=0.1)} if "t" in example.solution.names else {}
    return pj.Grid(
        **time, **{name: axis(length=length, start=start) for name, (start, length) in example.domain.items()}
    )


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_residual_of_the_exact_solution(cls):
    example = cls.example()
    n = NODES.get(cls.__name__, 32)
    grid = grid_of(example, lambda **kw: pj.Fourier(n, **kw))
    residual = example.equation.residual(sample(example.solution, grid))
    assert residual.dtype == jnp.float64
    assert jnp.max(jnp.abs(residual.values)) < 1e-8
    rng = np.random.default_rng(0)
    points = jnp.asarray(np.stack([rng.uniform(axis.start, axis.end, 20) for axis in grid.axes], axis=-1))
    assert jnp.max(jnp.abs(example.equation.residual(example.solution)(points))) < 1e-8


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_residual_on_uniform_axes_has_the_design_order(cls, order):
    example = cls.example()

    def error(n):
        axis = lambda **kw: pj.Uniform(n, lower=pj.Periodic(), upper=pj.Periodic(), order=order, **kw)
        return norm(example.equation.residual(sample(example.solution, grid_of(example, axis))))

    # Where the asymptotic range begins: the soliton is 60 wide and 1 thick, the Cole-Hopf wave has many harmonics.
    sizes = {"KortewegDeVries": (512, 1024), "Burgers": (96, 192)}.get(cls.__name__, (48, 96))
    assert abs(observed_order(error, sizes) - order) < 0.15


@pytest.mark.parametrize("order", [2, 4, 6])
def test_darcy_on_closed_uniform_axes(order):
    example = pj.equations.Darcy.example()

    def error(n):
        axis = lambda **kw: pj.Uniform(n, lower=pj.Dirichlet(0.0), upper=pj.Dirichlet(0.0), order=order, **kw)
        return norm(example.equation.residual(sample(example.solution, grid_of(example, axis))))

    assert observed_order(error, (49, 97)) > order - 0.15


@pytest.mark.parametrize(
    "make,word",
    [
        (lambda: pj.equations.Burgers(viscosity=-1.0), "positive viscosity"),
        (lambda: pj.equations.Diffusion(0.0), "positive diffusivity"),
        (
            lambda: pj.equations.Darcy(permeability=pj.GridField(-jnp.ones((1, 9)), pj.Grid(x=pj.Uniform(9)))),
            "positive permeability",
        ),
    ],
)
def test_bad_parameters_are_refused(make, word):
    with pytest.raises(ValueError, match=word):
        make()


def test_coefficients_given_as_plain_functions_get_advice():
    with pytest.raises(TypeError, match="FunctionField.from_function"):
        pj.equations.Darcy(permeability=lambda x, y: 1 + x)


def test_evolution_residual_needs_time():
    u = pj.GridField(jnp.zeros((1, 8)), pj.Grid(x=pj.Fourier(8)))
    with pytest.raises(ValueError, match='axis "t"'):
        pj.equations.Burgers().residual(u)
