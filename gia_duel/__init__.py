"""Fair comparisons: plan -> cells -> evidence -> report; the one runner for all of them."""

from gia_duel.cell import Workshop
from gia_duel.evidence import Evidence, Found
from gia_duel.fairness import UnfairError, check_models, check_records, check_size
from gia_duel.plan import Dataset, Plan, Trial, Variant
from gia_duel.report import markdown, write_report
from gia_duel.results import Results, Row, Table
from gia_duel.runner import Checked, Result, Runner
from gia_duel.statistics import Difference, Sample, paired
from gia_duel.training import Training

__all__ = [
    "Checked",
    "Dataset",
    "Difference",
    "Evidence",
    "Found",
    "Plan",
    "Result",
    "Results",
    "Row",
    "Runner",
    "Sample",
    "Table",
    "Training",
    "Trial",
    "UnfairError",
    "Variant",
    "Workshop",
    "check_models",
    "check_records",
    "check_size",
    "markdown",
    "paired",
    "write_report",
]
