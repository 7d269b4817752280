"""Numbers of a finished run, as a file and at the console."""

import json
import math
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from gia.analysis.figures import with_unit


def model_name(model: nn.Module) -> str:
    """What tells a model from others: its attention or its layer, if its blocks have one."""
    blocks = getattr(model, "blocks", None)
    first = blocks[0] if blocks else None
    layer = getattr(first, "attention", None) or getattr(first, "conv", None) or model
    return type(layer).__name__


def print_costs(costs: dict[str, Any], console: Console, unit: str) -> None:
    """One line of them; ``unit`` is what a node of a graph is."""
    console.print(
        f"  {costs['parameters']:,} parameters, {costs['epochs']} epochs, "
        f"{costs['training_seconds']:.0f} s training, "
        f"{costs['tokens_per_second']:,.0f} {unit}/s, "
        f"peak memory {costs['peak_memory_bytes'] / 2**30:.2f} GiB",
        highlight=False,
    )


def print_metrics(
    title: str,
    first: str,
    names: Sequence[str],
    rows: dict[str, dict[str, float]],
    console: Console,
    bold: str | None = None,
    units: Mapping[str, str] | None = None,
) -> None:
    """A table of metrics, four digits each.

    Args:
        title, first (str): Over the table, and over the names of its rows.
        names (list of str): The metrics, a column each.
        rows (dict): By a row's name its metrics.
        console (Console): Where to.
        bold (str, optional): The row that stands out.
        units (dict, optional): By a metric its unit.
    """
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for name in names:
        table.add_column(
            with_unit(name.replace("_", " "), (units or {}).get(name)), justify="right"
        )
    for row, values in rows.items():
        style = "bold" if row == bold else None
        table.add_row(row, *(f"{values[name]:.4g}" for name in names), style=style)
    console.print(table)


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Write ``summary.json``; what is not a number is null in it, as JSON has no NaN."""
    text = json.dumps(_plain(summary), indent=2, allow_nan=False)
    (folder / "summary.json").write_text(text + "\n")


def peak_memory() -> int:
    """The most memory this process has held, in bytes: on the GPU if there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage speaks bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
