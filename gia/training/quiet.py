"""What is not worth saying."""

import logging
import warnings
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
# Settings of a Trainer that trains nothing: it keeps nothing and shows nothing.
SILENT = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}

_pythons = warnings.formatwarning


def quiet() -> None:
    """Silence what Lightning says about hardware it did not find and workers it would like."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for noise in (
        ".*does not have many workers.*",
        ".*directory .* exists and is not empty.*",  # it holds config.yaml
        ".*LeafSpec.*",
        ".*dirpath has changed.*",  # a resumed run has a folder of its own
        ".*in eval mode at the start of training.*",  # what is frozen is meant to be
        ".*is smaller than the logging interval.*",
        ".*sync_dist=True.*",  # metrics are of all processes already
        ".*could not find the monitored key.*",  # a run without validation says so itself
        ".*SWA is currently only supported every epoch.*",  # and changes the schedule to that
    ):
        warnings.filterwarnings("ignore", noise)
    warnings.formatwarning = _format


def _format(message: Warning | str, category: type[Warning], filename: str, *rest: Any) -> str:
    """A warning of gia's own in a line, without the place in its code."""
    if Path(filename).is_relative_to(PACKAGE):
        return f"gia: {message}\n"
    return _pythons(message, category, filename, *rest)
