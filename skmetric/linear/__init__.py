"""Linear metrics: the learned distance is Euclidean after one matrix."""

from skmetric._modules import publish

from ._covariance import Covariance
from ._from_tuples._itml import ITML
from ._from_tuples._lsml import LSML
from ._from_tuples._mmc import MMC
from ._from_tuples._scml import SCML
from ._from_tuples._sdml import SDML
from ._gmml import GMML
from ._lfda import LFDA
from ._lmnn import LMNN
from ._metric_learner import MetricLearner
from ._mlkr import MLKR
from ._nca import NCA
from ._rca import RCA

__all__ = [
    "GMML",
    "ITML",
    "LFDA",
    "LMNN",
    "LSML",
    "MLKR",
    "MMC",
    "NCA",
    "RCA",
    "SCML",
    "SDML",
    "Covariance",
    "MetricLearner",
]

publish(__name__)
