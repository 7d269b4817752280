"""What the reports of all tasks share."""

import json
import math
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn
from torch_geometric.data import Data

from gia.analysis.figures import attention_graph, attention_heat_map, learning_curves, save
from gia.nn import count_parameters
from gia.training import Run


def picture_curves(run: Run, baseline: float | None, baseline_name: str) -> list[Path]:
    """Draw the losses of all epochs, if both were measured."""
    epochs = [row for row in run.history.epochs if "train_eval/loss" in row]
    if not epochs:
        return []
    figure = learning_curves(
        epochs, baseline, loss_name=run.task.LOSS_NAME, baseline_name=baseline_name
    )
    return save(figure, run.folder / "learning_curves")


def picture_attention(run: Run, example: Data, labels: Sequence[str]) -> list[Path]:
    """Draw the attention graph of one graph, of the last layer that has one, as heat map and arcs.

    A model of PyG's layers alone has none: nothing is drawn.
    """
    model = run.task.model.eval()
    layers = model.graphs(example.clone().to(run.task.device))
    numbers = [number for number, graph in enumerate(layers) if graph is not None]
    if not numbers:
        return []
    graph = layers[numbers[-1]].cpu()
    title = f"{example.name}, layer {numbers[-1] + 1} of {len(layers)}"
    return [
        *save(attention_heat_map(graph, labels, title), run.folder / "attention_heat_map"),
        *save(attention_graph(graph, labels, title), run.folder / "attention_graph"),
    ]


def model_name(model: nn.Module) -> str:
    """What tells a model from others: its attention or its layer, if its blocks have one."""
    blocks = getattr(model, "blocks", None)
    first = blocks[0] if blocks else None
    layer = getattr(first, "attention", None) or getattr(first, "conv", None) or model
    return type(layer).__name__


def costs(run: Run) -> dict[str, Any]:
    """Parameters, time and memory of a run."""
    epochs = len(run.history.epochs)
    return {
        "parameters": count_parameters(run.task.model),
        "tokens_per_second": run.throughput.tokens_per_second,
        "training_seconds": run.throughput.seconds,
        "seconds_per_epoch": run.throughput.seconds / max(epochs, 1),
        "peak_memory_bytes": peak_memory(),
        "epochs": epochs,
    }


def print_costs(costs: dict[str, Any], console: Console, unit: str) -> None:
    """One line of them; ``unit`` is what a node of a graph is."""
    console.print(
        f"  {costs['parameters']:,} parameters, {costs['epochs']} epochs, "
        f"{costs['training_seconds']:.0f} s training, "
        f"{costs['tokens_per_second']:,.0f} {unit}/s, "
        f"peak memory {costs['peak_memory_bytes'] / 2**30:.2f} GiB",
        highlight=False,
    )


def write_summary(run: Run, summary: dict[str, Any]) -> None:
    """Write ``summary.json``; what is not a number is null in it, as JSON has no NaN."""
    text = json.dumps(_plain(summary), indent=2, allow_nan=False)
    (run.folder / "summary.json").write_text(text + "\n")


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
