"""Equations between closed ends, and what they refuse; `tests/conformance/test_equations.py` has a row for each."""

import jax.numpy as jnp
import pytest

import pdejax as pj
from pdejax.calculus import norm
from pdejax.fields import sample
from pdejax.verify import observed_order


@pytest.mark.parametrize("order", [2, 4, 6])
def test_darcy_on_closed_uniform_axes(order):
    example = pj.equations.Darcy.example()

    def error(n):
        ends = {"lower": pj.Dirichlet(0.0), "upper": pj.Dirichlet(0.0), "order": order}
        axes = {name: pj.Uniform(n, length, start, **ends) for name, (start, length) in example.domain.items()}
        return norm(example.equation.residual(sample(example.solution, pj.Grid(**axes))))

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
