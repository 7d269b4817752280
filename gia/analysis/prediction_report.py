"""The end of a run of predictions: a table, and a folder worth opening."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch_geometric.data import Data

from gia.analysis.figures import save
from gia.analysis.prediction_figures import (
    confusion_matrix,
    parity_plot,
    residual_histogram,
    roc_curves,
)
from gia.analysis.predictions import Predictions, predict, write_predictions
from gia.analysis.report_parts import (
    costs,
    model_name,
    picture_attention,
    picture_curves,
    print_costs,
    write_summary,
)
from gia.data.node_labels import node_labels
from gia.tasks import Prediction, Regression
from gia.training import Run

PICTURED_NODES = 40  # the test graph in the pictures has at most this many, to be readable,
MOST_PICTURED = 150  # or is the smallest there is, up to this
LISTED = 20  # targets with a row of their own in the table


def report_predictions(run: Run, metrics: dict[str, float], console: Console) -> dict[str, Any]:
    """Write the pictures, ``predictions.csv``, ``summary.json`` and the final table of a run.

    Args:
        run (Run): The run, fitted.
        metrics (dict): Its test metrics.
        console (Console): Where the table goes.

    Returns:
        What ``summary.json`` holds.
    """
    data, task = run.datamodule, run.task
    batches = run.trainer.num_test_batches[0]  # a few in a run to see whether everything works
    limit = None if batches == float("inf") else int(batches)
    predictions = predict(task, data.loader("test"), trainer=run.trainer, limit=limit)
    write_predictions(run.folder / "predictions.csv", task, predictions)
    trivial_val = trivial_metrics(task, data.train_data, data.val_data)
    pictures = [
        *picture_curves(run, trivial_val["loss"], _trivial_name(task)),
        *picture_predictions(task, predictions, run.folder),
        *_picture_attention(run, console),
    ]
    summary = {
        "test": {name.removeprefix("test/"): value for name, value in metrics.items()},
        "trivial_test": trivial_metrics(task, data.train_data, data.test_data),
        "val": _best_epoch(run),
        **costs(run),
        "data": data.summary(),
        "pictures": [picture.name for picture in pictures],
    }
    write_summary(run, summary)
    _print_results(task, model_name(task.model), summary, console)
    return summary


def trivial_metrics(
    task: Prediction, train: Sequence[Data], measured: Sequence[Data]
) -> dict[str, float]:
    """Metrics of who looks at no graph: says the training mean, or the shares of the classes.

    The likeliest class is then the commonest one. Each class counts as seen once more than it was,
    so that no class is impossible.

    Args:
        task (Prediction): Whose metrics.
        train (list of Data): The training split.
        measured (list of Data): What to measure on.
    """
    seen, target = (
        torch.cat([graph.y for graph in graphs]).to(task.device) for graphs in (train, measured)
    )
    if isinstance(task, Regression):
        guess = task.scaler(seen).nanmean(0).nan_to_num()
    else:
        counts = [(seen == index).sum(0) + 1 for index in range(len(task.class_names))]
        shares = torch.stack(counts, dim=-1).float()  # [T, C]
        guess = (shares / shares.sum(-1, keepdim=True)).log()
    metrics = task.make_metrics("test").to(task.device)
    task.compare(metrics, guess.expand(len(target), *guess.shape), target)
    with warnings.catch_warnings(action="ignore"):  # of absent classes: the model's own did
        return {name: float(value) for name, value in metrics.compute().items()}


def picture_predictions(task: Prediction, predictions: Predictions, folder: Path) -> list[Path]:
    """Draw what the task predicted beside what is known."""
    shown = predictions.target, predictions.output, task.target_names
    if isinstance(task, Regression):
        return [
            *save(parity_plot(*shown), folder / "parity"),
            *save(residual_histogram(*shown), folder / "residuals"),
        ]
    return [
        *save(confusion_matrix(*shown, task.class_names), folder / "confusion_matrix"),
        *save(roc_curves(*shown, task.class_names), folder / "roc_curves"),
    ]


def _trivial_name(task: Prediction) -> str:
    return "mean of training" if isinstance(task, Regression) else "class shares of training"


def _picture_attention(run: Run, console: Console) -> list[Path]:
    """Draw the attention of the largest test graph whose picture is readable."""
    if not hasattr(run.task.model, "graphs"):
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
    labels = node_labels(example, run.datamodule.items.kind)
    return picture_attention(run, example, labels)


def _best_epoch(run: Run) -> dict[str, float]:
    """Validation metrics of the epoch whose model was tested."""
    epochs = [row for row in run.history.epochs if math.isfinite(row.get("val/loss", math.nan))]
    if not epochs:
        return {}
    best = min(epochs, key=lambda row: row["val/loss"])
    found = {"epoch": best["epoch"]}
    return found | {
        name.removeprefix("val/"): value for name, value in best.items() if name.startswith("val/")
    }


def _print_results(task: Prediction, model: str, summary: dict[str, Any], console: Console) -> None:
    test, trivial = summary["test"], summary["trivial_test"]
    names = [name for name in test if "/" not in name]
    _print_table("Test", "model", names, {model: test, _trivial_name(task): trivial}, console)
    targets = task.target_names
    if len(targets) > 1:
        of_target = {
            target: {name: test[f"{name}/{target}"] for name in names if name != "loss"}
            for target in targets[:LISTED]
        }
        title = "Test, each target"
        if len(targets) > LISTED:
            title += f" (the first {LISTED} of {len(targets)}; all are in summary.json)"
        _print_table(
            title, "target", [name for name in names if name != "loss"], of_target, console
        )
    print_costs(summary, console, "nodes")


def _print_table(
    title: str,
    first: str,
    names: Sequence[str],
    rows: dict[str, dict[str, float]],
    console: Console,
) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for place, (row, values) in enumerate(rows.items()):
        style = "bold" if place == 0 and first == "model" else None
        table.add_row(row, *(f"{values[name]:.4g}" for name in names), style=style)
    console.print(table)
