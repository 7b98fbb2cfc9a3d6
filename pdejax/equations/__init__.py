"""Floor 2: equations, written once with the calculus."""

from ._base import AbstractEquation as AbstractEquation
from ._base import AbstractEvolution as AbstractEvolution
from ._base import AbstractSteady as AbstractSteady
from ._base import AbstractVariational as AbstractVariational
from ._base import Example as Example
from ._base import Forced as Forced
from ._base import Showcase as Showcase
from ._base import manufactured as manufactured
from ._elliptic import Darcy as Darcy
from ._elliptic import Helmholtz as Helmholtz
from ._elliptic import Poisson as Poisson
from ._elliptic import SemilinearPoisson as SemilinearPoisson
from ._fluid import NavierStokesVorticity as NavierStokesVorticity
from ._transport import Advection as Advection
from ._transport import AdvectionDiffusion as AdvectionDiffusion
from ._transport import Diffusion as Diffusion
from ._waves import AllenCahn as AllenCahn
from ._waves import Burgers as Burgers
from ._waves import KortewegDeVries as KortewegDeVries
from ._waves import KuramotoSivashinsky as KuramotoSivashinsky
