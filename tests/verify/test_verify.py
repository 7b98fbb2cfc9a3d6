"""`verify`: what the tables say of right and wrong methods, and the command."""

import jax
import jax.numpy as jnp
import pytest

import pdejax as pj
from pdejax.experiment._cli import main
from pdejax.verify import Column, verify
from pdejax.verify._report import refine

E, S = pj.equations, pj.solvers


def table(error, design=2, floor=1e-11):
    column = Column("error", design, floor)
    return refine("t", ("n", "h"), (column,), [2**k for k in range(2, 12)], lambda n: 1 / n, lambda n: (error(n),))


def test_right_wrong_and_exact_orders():
    right = table(lambda n: n**-2.0)
    assert right.ok and right.sizes == (4, 8, 16) and abs(right.columns[0].observed - 2) < 1e-12
    wrong = table(lambda n: n**-1.0)
    assert not wrong.ok and "order 1.00 is below the design order 2 - 0.15" in str(wrong)
    exact = table(lambda n: 1e-15)
    assert exact.ok and exact.sizes == (4,) and "exact to rounding" in str(exact)
    assert not table(lambda n: float("nan")).ok


def test_rows_before_the_asymptotic_range_and_below_the_floor_do_not_count():
    late = table(lambda n: float("inf") if n < 8 else n**-3.0 if n < 128 else n**-2.0 / 128)
    assert late.ok and "unstable" in str(late) and abs(late.columns[0].observed - 2) < 0.15
    stalled = table(lambda n: max(n**-4.0, 1e-5), design=4, floor=1e-4)
    assert stalled.ok and stalled.columns[0].orders[-1] is None


class Braked(E.Advection):
    """Claims an invariant that it does not have."""

    def nonlinear(self, u, t):
        return -0.1 * u


@pytest.mark.slow
def test_a_wrong_equation_is_told():
    good = E.Advection.example()
    report = verify(E.Example(Braked(0.7), good.solution, good.domain))
    assert not report.ok and "NOT VERIFIED" in str(report) and "FAILED energy" in str(report)


def test_methods_and_precision_outside():
    with jax.enable_x64(False):
        report = verify(E.KleinGordon, lambda dt: S.Symplectic(dt, order=2))
        assert jnp.ones(()).dtype == jnp.float32
    assert report.ok and abs(report.tables[0].columns[0].observed - 2) < 0.15


def test_what_does_not_fit_is_refused():
    with pytest.raises(TypeError, match="class of pdejax.equations"):
        verify(E.Forced)
    with pytest.raises(TypeError, match="no fixed order in dt"):
        verify(E.AllenCahn, lambda dt: S.Adaptive())
    with pytest.raises(TypeError, match="steps in time"):
        verify(E.Poisson, S.ETDRK4)


def test_the_command(capsys):
    assert main(["verify", "--list"]) == 0 and "KortewegDeVries" in capsys.readouterr().out
    assert main(["verify", "KortewegDeVris"]) == 2 and "'KortewegDeVries'" in capsys.readouterr().err
    assert main(["verify", "Advection", "--method", "ETDRK5"]) == 2 and "ETDRK" in capsys.readouterr().err
    assert main(["verify"]) == 2 and "name an equation" in capsys.readouterr().err
    assert main(["verify", "Advection", "--method", "ETDRK2"]) == 0
    assert "exact to rounding" in capsys.readouterr().out
