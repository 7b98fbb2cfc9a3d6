"""Floor 5: neural operators, one architecture a file."""

from ._convergent_graph_solver import ConvergentGraphSolver as ConvergentGraphSolver
from ._convergent_graph_solver import GraphContraction as GraphContraction
from ._fno import FNO as FNO
from ._fno_deq import FNODEQ as FNODEQ
from ._implicit_fno import ImplicitFNO as ImplicitFNO
from ._iterated_operator import IteratedOperator as IteratedOperator
from ._pign import PIGN as PIGN
from ._weight_tied_fno import WeightTiedFNO as WeightTiedFNO
