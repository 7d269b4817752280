"""What a model says of graphs or nodes, beside what is known of them, and as a table."""

import contextlib
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch_geometric.data import Batch

from gia.data.files import write_atomically
from gia.tasks import Prediction


@dataclass
class Predictions:
    """Predictions in the order in which they were made, R rows for graphs or nodes.

    Attributes:
        names (list of str): Of each row's graph.
        rows (list of int): Where the graph stands in its source, counted from 0.
        nodes (list of int): Which node of it; empty where whole graphs have targets.
        target (Tensor): As the data has it, ``[R, T]``; NaN where missing.
        output (Tensor): Numbers ``[R, T]``, or probabilities of classes ``[R, T, C]``.
    """

    names: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    target: Tensor = field(default_factory=lambda: torch.empty(0))
    output: Tensor = field(default_factory=lambda: torch.empty(0))


@torch.inference_mode()
def predict(
    task: Prediction,
    batches: Iterable[Batch],
    *,
    trainer: pl.Trainer | None = None,
    limit: int | None = None,
) -> Predictions:
    """Predict all batches of a loader.

    Args:
        task (Prediction): The trained task, where its model is to run.
        batches (iterable of Batch): As of :meth:`gia.data.DataModule.loader`.
        trainer (Trainer, optional): Whose precision to predict in.
        limit (int, optional): The most batches.
    """
    task.eval()
    result = Predictions()
    targets, outputs = [], []
    precision = (
        contextlib.nullcontext if trainer is None else trainer.precision_plugin.predict_step_context
    )
    for batch in islice(batches, limit):
        with precision():
            outputs.append(task.predict_step(batch.to(task.device)).cpu())
        targets.append(batch.y.cpu())
        graphs = list(zip(batch.name, batch.row.tolist(), batch.ptr.diff().tolist(), strict=True))
        if task.level == "node":
            graphs = [(name, row, node) for name, row, size in graphs for node in range(size)]
            result.nodes += [node for *_, node in graphs]
        result.names += [name for name, *_ in graphs]
        result.rows += [row for _, row, _ in graphs]
    if outputs:
        result.target, result.output = torch.cat(targets), torch.cat(outputs)
    return result


def prediction_columns(task: Prediction) -> list[str]:
    """Names of what :func:`prediction_cells` gives."""
    classes = getattr(task, "class_names", [])
    several = len(task.target_names) > 1
    columns = []
    for target in task.target_names:
        columns.append(f"predicted_{target}")
        columns += [
            f"probability_{target}_{name}" if several else f"probability_{name}" for name in classes
        ]
    return columns


def prediction_cells(task: Prediction, output: Tensor) -> list[str]:
    """One row of predictions as text: numbers, or the likeliest class and all probabilities.

    Args:
        task (Prediction): What predicted it.
        output (Tensor): ``[T]`` or ``[T, C]``.
    """
    if output.dim() == 1:
        return [_number(value) for value in output.tolist()]
    cells = []
    for probabilities in output.tolist():
        likeliest = max(range(len(probabilities)), key=probabilities.__getitem__)
        cells += [task.class_names[likeliest], *map(_number, probabilities)]
    return cells


def write_predictions(path: Path, task: Prediction, predictions: Predictions) -> None:
    """A CSV: name and row of each graph (and the node), its targets, what was predicted."""
    where = ["name", "row"] + (["node"] if predictions.nodes else [])
    lines = []
    for index, (name, row) in enumerate(zip(predictions.names, predictions.rows, strict=True)):
        node = [predictions.nodes[index]] if predictions.nodes else []
        known = target_cells(task, predictions.target[index])
        said = prediction_cells(task, predictions.output[index])
        lines.append([name, row, *node, *known, *said])
    write_csv(path, [*where, *task.target_names, *prediction_columns(task)], lines)


def target_cells(task: Prediction, target: Tensor) -> list[str]:
    """The known targets of one row as text; a missing one is empty."""
    classes: Sequence[str] = getattr(task, "class_names", [])
    return [
        "" if value != value else classes[int(value)] if classes else _number(value)
        for value in target.tolist()
    ]


def write_csv(path: Path, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write a table whole or not at all."""
    with write_atomically(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(lines)


def _number(value: float) -> str:
    return f"{value:.6g}"
