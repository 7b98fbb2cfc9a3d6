"""Floor 5: neural operators, one architecture a file."""

from ._fno import FNO as FNO
