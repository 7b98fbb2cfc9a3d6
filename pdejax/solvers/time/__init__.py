"""Time steppers."""

from ._etdrk import ETDRK4 as ETDRK4
from ._rk4 import RK4 as RK4
