"""Floor 3: checks that a result deserves trust."""

from ._order import observed_order as observed_order
from ._taylor import taylor_test as taylor_test
