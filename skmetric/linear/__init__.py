"""Linear metrics: the learned distance is Euclidean after one matrix."""

from skmetric._modules import publish

from ._covariance import Covariance
from ._gmml import GMML
from ._lfda import LFDA
from ._metric_learner import MetricLearner
from ._rca import RCA

__all__ = ["GMML", "LFDA", "RCA", "Covariance", "MetricLearner"]

publish(__name__)
