"""Symplectic steps: order, energy without drift, refusals."""

import jax.numpy as jnp
import pytest

import pdejax as pj
from pdejax.calculus import norm
from pdejax.fields import sample
from pdejax.verify import observed_order

S, E = pj.solvers, pj.equations


def example():
    case = E.KleinGordon.example()
    grid = pj.Grid(**{k: pj.Fourier(case.nodes, length=l, start=s) for k, (s, l) in case.domain.items()})
    return case, grid, sample(case.solution.at(t=0.0), grid)


@pytest.mark.parametrize(
    "order,steps", [(2, (64, 128)), (4, (64, 128)), (6, (48, 96)), pytest.param(8, (32, 64), marks=pytest.mark.slow)]
)
def test_design_order(order, steps):
    case, grid, u0 = example()
    exact = sample(case.solution.at(t=1.0), grid)

    def error(n):
        return norm(pj.solve(pj.EvolutionProblem(case.equation, u0), S.Symplectic(dt=1 / n, order=order)).value - exact)

    assert abs(observed_order(error, steps) - order) < 0.25


def test_energy_does_not_drift():
    case, _, u0 = example()
    equation = getattr(case.equation, "equation", case.equation)
    times = jnp.linspace(0, 50, 26)
    problem = pj.EvolutionProblem(equation, u0, t1=50.0)
    energies = []
    solution = pj.solve(problem, S.Symplectic(dt=0.02), save_at=times)
    for values in solution.value.values:
        energies.append(float(equation.invariants(u0.with_values(values))["energy"]))
    early, late = energies[1:6], energies[-5:]
    spread = max(energies) - min(energies)
    assert spread < 1e-2 * energies[0]
    assert abs(sum(late) / 5 - sum(early) / 5) < spread


def test_what_is_not_separable_is_refused():
    grid = pj.Grid(x=pj.Fourier(8))
    one, two = (pj.GridField(jnp.ones((k, 8)), grid) for k in (1, 2))
    with pytest.raises(ValueError, match="equal number"):
        pj.solve(pj.EvolutionProblem(E.Burgers(0.1), one), S.Symplectic(dt=0.1))
    with pytest.raises(ValueError, match="damping"):
        pj.solve(pj.EvolutionProblem(E.DampedWave(), two), S.Symplectic(dt=0.1))
