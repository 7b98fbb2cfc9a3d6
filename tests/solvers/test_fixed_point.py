"""What the front door of fixed points takes and returns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import pdejax as pj

S = pj.solvers


def test_fields_and_complex_numbers():
    grid = pj.Grid(x=pj.Fourier(8))
    start = pj.GridField.from_function(lambda x: jnp.sin(x), grid)
    found = S.fixed_point(lambda u, a: u.with_values(jnp.cos(a * u.values)), start, 0.5)
    exact = scipy.optimize.brentq(lambda u: np.cos(0.5 * u) - u, 0, 1, xtol=1e-14)
    assert isinstance(found.value, pj.GridField) and found.value.grid.same_nodes(grid)
    np.testing.assert_allclose(found.value.values, exact, rtol=1e-7)
    # Not holomorphic: z = 1 + i conj(z) / 2.
    turn = lambda z, a: 1 + jax.lax.complex(0.0, a) * jnp.conj(z)
    np.testing.assert_allclose(S.fixed_point(turn, jnp.ones(2, complex), 0.5).value, (4 + 2j) / 3, rtol=1e-7)
    slope = jax.grad(lambda a: S.fixed_point(turn, jnp.ones((), complex), a).value.imag)(0.5)
    # Im z = a / (1 - a^2)
    np.testing.assert_allclose(slope, 1.25 / 0.75**2, rtol=1e-7)


def test_zero_is_a_solution():
    found = S.fixed_point(lambda y, _: 0.5 * y, jnp.zeros(3), solver=S.Picard(1e-8))
    assert found.ok and found.error == 0 and found.stats["num_steps"] == 1


def test_a_second_call_does_not_compile():
    count = 0

    def cosine(y, a):
        nonlocal count
        count += 1
        return jnp.cos(a * y)

    for a in (0.3, 0.5):
        S.fixed_point(cosine, jnp.ones(3), jnp.asarray(a))
        first = count if a == 0.3 else first  # noqa: F821
    assert count == first


@pytest.mark.parametrize(
    "change,error,word",
    [
        ({"fn": lambda y, _: y[:1]}, TypeError, "keeps shapes"),
        ({"y0": jnp.ones(3, int)}, TypeError, "floating-point"),
        ({"solver": "anderson"}, TypeError, "solvers.Anderson"),
        ({"adjoint": S.CheckpointedAdjoint()}, TypeError, "time stepping"),
        ({"fn": lambda y, _: y + 1, "solver": S.Picard(1e-6)}, S.SolveError, "stopped falling"),
        ({"adjoint": S.SharedAdjoint()}, TypeError, "Broyden"),
        ({"adjoint": S.ReversibleAdjoint()}, TypeError, "Reversible"),
    ],
)
def test_errors_say_what_to_write(change, error, word):
    given = {"fn": lambda y, _: jnp.cos(y), "y0": jnp.ones(3), **change}
    with pytest.raises(error, match=word):
        S.fixed_point(given.pop("fn"), given.pop("y0"), max_steps=1000, **given)


@pytest.mark.parametrize(
    "make",
    [
        lambda: S.Picard(1e-6, average=1.5),
        lambda: S.Anderson(1e-6, window=0),
        lambda: S.Broyden(1e-6, kind="ugly"),
        lambda: S.Halpern(1e-6, restart=2.0),
        lambda: S.Reversible(1e-6, mixing=1.0),
        lambda: S.Neumann(0),
        lambda: S.PhantomAdjoint(steps=0),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="got"):
        make()
