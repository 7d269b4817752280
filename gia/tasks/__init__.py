"""What a model is trained for: loss, metrics, and what is said of them at the end."""

from gia.tasks.calibration import Intervals, Temperature
from gia.tasks.classification import Classification, ClassificationMetrics
from gia.tasks.explain import Explainer
from gia.tasks.language_metrics import LanguageMetrics
from gia.tasks.language_modeling import LanguageModeling
from gia.tasks.masked import Masked, MaskedMetrics
from gia.tasks.metrics import Metrics, PredictionMetrics
from gia.tasks.prediction import Prediction
from gia.tasks.regression import Regression, RegressionMetrics
from gia.tasks.report import FinishedRun
from gia.tasks.scaler import TargetScaler
from gia.tasks.supervised import Supervised
from gia.tasks.task import Task, parameter_groups
from gia.tasks.variants import Mutation, VariantScorer, read_variant

__all__ = [
    "Classification",
    "ClassificationMetrics",
    "Explainer",
    "FinishedRun",
    "Intervals",
    "LanguageMetrics",
    "LanguageModeling",
    "Masked",
    "MaskedMetrics",
    "Metrics",
    "Mutation",
    "Prediction",
    "PredictionMetrics",
    "Regression",
    "RegressionMetrics",
    "Supervised",
    "TargetScaler",
    "Task",
    "Temperature",
    "VariantScorer",
    "parameter_groups",
    "read_variant",
]
