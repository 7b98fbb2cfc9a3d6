"""Floor 5: losses. They take fields, equations and models as callables; none imports a model."""

from ._errors import relative_h1 as relative_h1
from ._errors import relative_l2 as relative_l2
from ._residual import mean_squared_residual as mean_squared_residual
from ._residual import residual_loss as residual_loss
