"""Highly oscillatory equations, solved at a cost that does not grow with the frequency."""

from ._wkb import WKBResults as WKBResults
from ._wkb import WKBSolution as WKBSolution
from ._wkb import wkb as wkb
