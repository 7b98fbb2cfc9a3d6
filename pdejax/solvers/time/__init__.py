"""Time steppers, behind one interface."""

from ._adaptive import Adaptive as Adaptive
from ._exponential import ETDRK1 as ETDRK1
from ._exponential import ETDRK2 as ETDRK2
from ._exponential import ETDRK3 as ETDRK3
from ._exponential import ETDRK4 as ETDRK4
from ._exponential import IFRK4 as IFRK4
from ._exponential import Krogstad4 as Krogstad4
from ._exponential_multistep import ExponentialAdamsBashforth as ExponentialAdamsBashforth
from ._imex import ARS222 as ARS222
from ._imex import ARS443 as ARS443
from ._imex_multistep import CNAB2 as CNAB2
from ._imex_multistep import SBDF1 as SBDF1
from ._imex_multistep import SBDF2 as SBDF2
from ._imex_multistep import SBDF3 as SBDF3
from ._imex_multistep import SBDF4 as SBDF4
from ._runge_kutta import RK4 as RK4
from ._runge_kutta import SSPRK2 as SSPRK2
from ._runge_kutta import SSPRK3 as SSPRK3
from ._runge_kutta import SSPRK4 as SSPRK4
from ._runge_kutta import stable_dt as stable_dt
from ._splitting import Strang as Strang
from ._symplectic import Symplectic as Symplectic
