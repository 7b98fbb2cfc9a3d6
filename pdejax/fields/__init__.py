"""Floor 1: fields. A field is a function, not an array."""

from . import _expression as expression
from ._eigenbasis import Eigenbasis as Eigenbasis
from ._expression_field import AbstractExpressionField as AbstractExpressionField
from ._field import AbstractField as AbstractField
from ._function_field import FunctionField as FunctionField
from ._symbolic_field import SymbolicField as SymbolicField
from ._symbolic_field import euler_lagrange as euler_lagrange
from ._grid_field import GridField as GridField
from ._grid_field import sample as sample
from ._grid_field import stack as stack
