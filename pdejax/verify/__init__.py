"""Floor 3: checks that a result deserves trust."""

from ._error_estimate import ErrorEstimate as ErrorEstimate
from ._error_estimate import error_estimate as error_estimate
from ._order import observed_order as observed_order
from ._report import Column as Column
from ._report import Report as Report
from ._report import Table as Table
from ._taylor import taylor_test as taylor_test
from ._verify import catalogue as catalogue
from ._verify import verify as verify
