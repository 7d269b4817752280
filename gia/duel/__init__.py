"""Fair comparisons: plan -> cells -> evidence -> report; the one runner for all of them."""

from gia.duel.cell import Workshop
from gia.duel.evidence import Evidence, Found
from gia.duel.fairness import UnfairError, check_models, check_records, check_size
from gia.duel.plan import Dataset, Plan, Trial, Variant
from gia.duel.report import markdown, write_report
from gia.duel.results import Results, Row, Table
from gia.duel.runner import Checked, Result, Runner
from gia.duel.statistics import Difference, Sample, paired
from gia.duel.training import Training

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
