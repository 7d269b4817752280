"""What the reports of all tasks share."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl
from rich.console import Console
from torch import nn
from torch_geometric.data import Data

from gia.analysis.attention_figures import attention_graph, attention_heat_map
from gia.analysis.contact_figures import contact_attention
from gia.analysis.crystal_figures import crystal_attention
from gia.analysis.figures import (
    learning_curves,
    save,
    with_unit,
)
from gia.analysis.molecule_figures import molecule_attention
from gia.analysis.reliability_figures import AFTER
from gia.analysis.summary import model_name, peak_memory, print_costs, print_metrics
from gia.data.depict import Depiction, depiction_of
from gia.data.depict_crystal import CellDepiction
from gia.data.node_labels import node_labels
from gia.nn import Ensemble, count_parameters

PICTURED_NODES = 40  # the test graph in the pictures has at most this many, to be readable,
MOST_PICTURED = 150  # or is the smallest there is, up to this
MOST_RESIDUES = 256  # of the protein whose contact map is drawn
LISTED = 20  # targets with a row of their own in the table


class FinishedRun(Protocol):
    """What a report needs of a run: :class:`gia.training.Run` after its ``fit``.

    Attributes:
        folder (Path): Where pictures and files go.
        datamodule, task, trainer: Lightning's three.
        history: ``history.epochs``, the metrics of each epoch.
        throughput: ``throughput.seconds`` of training, and ``throughput.tokens_per_second``.
        tested_step: Steps that the tested model was trained for; None if it was not by steps.
        epochs: How many were trained for, by all that was trained; 1 if it was not by steps.
        members: The test metrics of each member of an ensemble; of no other run.
    """

    folder: Path
    datamodule: pl.LightningDataModule
    task: pl.LightningModule
    trainer: pl.Trainer
    tested_step: int | None
    members: list[dict[str, float]]

    @property
    def epochs(self) -> int: ...

    @property
    def history(self) -> Any: ...

    @property
    def throughput(self) -> Any: ...


def picture_curves(run: FinishedRun, baseline: float | None = None, name: str = "") -> list[Path]:
    """Draw the losses of all epochs, if both were measured.

    Args:
        run (FinishedRun): The run.
        baseline (float, optional): A validation loss to draw as a line for comparison.
        name (str): Whose loss that is.
    """
    epochs = [row for row in run.history.epochs if "train_eval/loss" in row]
    if not epochs:
        return []
    figure = learning_curves(
        epochs,
        baseline,
        loss_name=run.task.LOSS_NAME,
        baseline_name=name or "baseline",
        kept=best_epoch(run).get("epoch"),
    )
    return save(figure, run.folder / "learning_curves")


def picture_attention(
    run: FinishedRun,
    example: Data,
    labels: Sequence[str],
    depiction: Depiction | CellDepiction | None = None,
) -> list[Path]:
    """Draw the attention graph of one graph, of the last layer that has one, as heat map and arcs;
    with the depiction of a molecule or a crystal, all layers on it in place of arcs. Of an ensemble
    it is the first member's.

    A model of PyG's layers alone has none: nothing is drawn.
    """
    layers = _layers(run, example)
    numbers = [number for number, graph in enumerate(layers) if graph is not None]
    if not numbers:
        return []
    graph = layers[numbers[-1]]
    title = f"{example.name}, layer {numbers[-1] + 1} of {len(layers)}"
    if depiction is None:
        drawn = attention_graph(graph, labels, title)
    elif isinstance(depiction, CellDepiction):
        drawn = crystal_attention(layers, depiction, example.name)
    else:
        drawn = molecule_attention(example, layers, depiction, example.name)
    return [
        *save(attention_heat_map(graph, labels, title), run.folder / "attention_heat_map"),
        *save(drawn, run.folder / "attention_graph"),
    ]


def picture_a_graph(run: FinishedRun, console: Console) -> list[Path]:
    """Draw the attention of the largest test graph whose picture is readable."""
    if not _draws(run):
        return []
    graphs = sorted(run.datamodule.test_data, key=lambda graph: graph.num_nodes)
    fitting = [graph for graph in graphs if graph.num_nodes <= PICTURED_NODES] or graphs[:1]
    example = fitting[-1]
    if example.num_nodes > MOST_PICTURED:
        console.print(
            f"  no picture of attention: the smallest test graph has {example.num_nodes:,} nodes",
            highlight=False,
        )
        return []
    kind = run.datamodule.items.kind
    labels = node_labels(example, kind)
    return picture_attention(run, example, labels, depiction_of(example, kind))


def picture_contacts(run: FinishedRun) -> list[Path]:
    """Draw attention on the contact map of the largest protein of the test part that is readable,
    if items are proteins with structure, whose edges are contacts."""
    if run.datamodule.items.kind != "sequence" or not _draws(run):
        return []
    readable = [
        data
        for data in run.datamodule.test_data
        if data.num_nodes <= MOST_RESIDUES and data.get("pos") is not None
    ]
    if not readable:
        return []
    example = max(readable, key=lambda data: data.num_nodes)
    layers = _layers(run, example)
    if all(layer is None for layer in layers):
        return []
    return save(contact_attention(example, layers, example.name), run.folder / "contact_map")


def _first(run: FinishedRun) -> nn.Module:
    """The model, or the first of several that are asked as one."""
    model = run.task.model
    return model.members[0] if isinstance(model, Ensemble) else model


def _draws(run: FinishedRun) -> bool:
    """Whether the model says what its attention is; PyG's do not."""
    return hasattr(_first(run), "graphs")


def _layers(run: FinishedRun, example: Data) -> list[Data | None]:
    """The attention of each layer over an item; of an ensemble that of its first member."""
    layers = _first(run).eval().graphs(example.clone().to(run.task.device))
    return [None if layer is None else layer.cpu() for layer in layers]


def of_test(metrics: dict[str, float]) -> dict[str, float]:
    """Test metrics under their own names."""
    return {name.removeprefix("test/"): value for name, value in metrics.items()}


def best_epoch(run: FinishedRun) -> dict[str, float]:
    """Validation metrics of the epoch whose model was tested."""
    epochs = [row for row in run.history.epochs if math.isfinite(row.get("val/loss", math.nan))]
    if not epochs:
        return {}
    tested = [row for row in epochs if row["step"] == run.tested_step]
    best = tested[0] if tested else min(epochs, key=lambda row: row["val/loss"])
    found = {"epoch": best["epoch"]}
    return found | {
        name.removeprefix("val/"): value for name, value in best.items() if name.startswith("val/")
    }


def costs(run: FinishedRun) -> dict[str, Any]:
    """Parameters, time and memory of a run."""
    return {
        "parameters": count_parameters(run.task.model),
        "tokens_per_second": run.throughput.tokens_per_second,
        "training_seconds": run.throughput.seconds,
        "seconds_per_epoch": run.throughput.seconds / max(run.epochs, 1),
        "peak_memory_bytes": peak_memory(),
        "epochs": run.epochs,
    }


def print_test(task: Any, summary: dict[str, Any], console: Console) -> None:
    """Print the test metrics of a prediction, beside the trivial one and for each target.

    Args:
        task (Prediction): What predicted.
        summary (dict): What ``summary.json`` holds.
        console (Console): Where the tables go.
    """
    test, model = summary["test"], model_name(task.model)
    names, units = [name for name in test if "/" not in name], task.metric_units
    rows = {model: test}
    if summary["trivial_test"] is not None:
        rows[task.TRIVIAL_NAME] = summary["trivial_test"]
    print_metrics("Test", "model", names, rows, console, bold=model, units=units)
    targets, names = task.target_names, [name for name in names if name != "loss"]
    if len(targets) > 1:
        title = "Test, each target"
        if len(targets) > LISTED:
            title += f" (the first {LISTED} of {len(targets)}; all are in summary.json)"
        # A unit that all have is told over the columns.
        own = [None] * len(targets) if units else task.units
        rows = {
            with_unit(target, unit): {name: test[f"{name}/{target}"] for name in names}
            for target, unit in zip(targets[:LISTED], own, strict=False)
        }
        print_metrics(title, "target", names, rows, console, units=units)
    print_costs(summary, console, task.NODE_NAME)


def print_reliability(
    task: Any, reliability: dict[str, dict[str, float]], console: Console, path: Any = None
) -> None:
    """Print how far what predictions say of their errors is true, and what is not calibrated.

    Args:
        task (Calibrated): What predicted.
        reliability (dict): Of its ``reliability``; empty if it is not calibrated.
        console (Console): Where to.
        path (Path, optional): The checkpoint of the model.
    """
    if any(map(math.isfinite, reliability.get(AFTER, {}).values())):
        names = [name for name in reliability[AFTER] if "/" not in name]
        title = "Errors, as said and as they are"
        if "coverage" in names:
            title += f" (intervals of {task.confidence:.3g})"
        units = task.metric_units
        print_metrics(title, "predictions", names, reliability, console, bold=AFTER, units=units)
    for note in task.calibration_notes(path):
        console.print(f"  {note}", highlight=False, soft_wrap=True)
