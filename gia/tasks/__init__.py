"""What a model is trained for: loss, metrics and what is said of them."""

from gia.tasks.language_metrics import LanguageMetrics, Metrics
from gia.tasks.language_modeling import LanguageModeling
from gia.tasks.prediction import Classification, Prediction, Regression
from gia.tasks.prediction_metrics import ClassificationMetrics, RegressionMetrics
from gia.tasks.scaler import TargetScaler
from gia.tasks.supervised import Supervised
from gia.tasks.task import Task, parameter_groups

__all__ = [
    "Classification",
    "ClassificationMetrics",
    "LanguageMetrics",
    "LanguageModeling",
    "Metrics",
    "Prediction",
    "Regression",
    "RegressionMetrics",
    "Supervised",
    "TargetScaler",
    "Task",
    "parameter_groups",
]
