"""Sequences and time steppings evaluated in parallel over time."""

from ._blocks import GaussSeidel as GaussSeidel
from ._blocks import MultipleShooting as MultipleShooting
from ._deer import DEER as DEER
from ._deer import QuasiDEER as QuasiDEER
from ._evaluate import evaluate as evaluate
from ._evolution import ParallelInTime as ParallelInTime
from ._parareal import Parareal as Parareal
from ._sweeps import AbstractParallel as AbstractParallel
from ._sweeps import AbstractSweeps as AbstractSweeps
from ._sweeps import Jacobi as Jacobi
