"""Floor 1: fields. A field is a function, not an array."""

from ._eigenbasis import Eigenbasis as Eigenbasis
from ._expression import AbstractExpression as AbstractExpression
from ._expression import Constant as Constant
from ._expression import Leaf as Leaf
from ._expression import Product as Product
from ._expression import Sum as Sum
from ._expression_field import AbstractExpressionField as AbstractExpressionField
from ._field import AbstractField as AbstractField
from ._function_field import FunctionField as FunctionField
from ._grid_field import GridField as GridField
from ._grid_field import at_nodes as at_nodes
from ._grid_field import sample as sample
from ._grid_field import stack as stack
from ._symbolic_field import SymbolicField as SymbolicField
from ._symbolic_field import euler_lagrange as euler_lagrange
