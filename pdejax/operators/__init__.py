"""Floor 5: neural operators, one architecture a file."""

from ._convergent_graph_solver import ConvergentGraphSolver as ConvergentGraphSolver
from ._convergent_graph_solver import GraphContraction as GraphContraction
from ._fno import FNO as FNO
from ._pign import PIGN as PIGN
