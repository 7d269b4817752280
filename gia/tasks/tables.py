"""Predictions as tables: a user's own again, or one part of the data."""

import math
from pathlib import Path
from typing import Any

from gia.analysis.prediction_table import check_columns, extend_table, number_cell, write_csv
from gia.analysis.predictions import Predictions
from gia.data.bounds import bound_text
from gia.data.training_set import FAR

SIMILARITY = "similarity_to_training"  # the column


def predict_table(task: Any, data: Any, out: Path) -> dict[str, int]:
    """See :meth:`gia.tasks.Prediction.predict_table`."""
    data.setup()
    columns, rows = data.dataset.table()
    new = task.columns()
    known = [] if task.training_set is None else [SIMILARITY]
    check_columns(columns, [*new, *known])
    found = task.predictions(data.loader("test"))
    of_row: dict[int, list[list[str]]] = {}  # the cells of its graph, or of all its nodes
    for row, cells in zip(found.rows, task.cells(found), strict=True):
        of_row.setdefault(row, []).append(cells)
    between = [task.between_nodes(column) for column in new]
    cells = {
        row: [_joined(mark, column) for mark, *column in zip(between, *nodes, strict=True)]
        for row, nodes in of_row.items()
    }
    if compare_with_training(task, data, found):
        new = [*new, SIMILARITY]
        for row, similarity in found.similarity.items():
            cells[row].append(_similarity_cell(similarity))
    reasons = {entry.row: entry.reason for entry in data.items.rejected}
    return extend_table(out, columns, rows, new, cells, reasons) | _far(found)


def predict_part(task: Any, data: Any, part: str, out: Path) -> dict[str, int]:
    """See :meth:`gia.tasks.Prediction.predict_part`."""
    data.setup()
    found = task.predictions(data.loader(part))
    compare_with_training(task, data, found)
    write_predictions(task, found, out)
    return {"predicted": len(found.rows), "problems": 0} | _far(found)


def write_predictions(task: Any, found: Predictions, out: Path) -> None:
    """A CSV: name and row of each graph (and the node), its targets, what was predicted."""
    where = ["name", "row", *(["node"] if found.nodes else [])]
    nodes = [[node] for node in found.nodes] or [[]] * len(found.rows)
    targets = [task.target_cells(target) for target in found.target]
    for cells, bounds in zip(targets, found.bounds, strict=False):
        texts = map(bound_text, bounds)
        cells[:] = [cell or text for cell, text in zip(cells, texts, strict=True)]
    columns, said = task.columns(), task.cells(found)
    if found.similarity:
        columns.append(SIMILARITY)
        for cells, row in zip(said, found.rows, strict=True):
            cells.append(_similarity_cell(found.similarity[row]))
    lines = [
        [name, row, *node, *target, *cells]
        for name, row, node, target, cells in zip(
            found.names, found.rows, nodes, targets, said, strict=True
        )
    ]
    write_csv(out, [*where, *task.target_names, *columns], lines)


def compare_with_training(task: Any, data: Any, found: Predictions) -> bool:
    """Find how similar the nearest graph of the training is, and say whether the task knows."""
    known = task.training_set
    if known is None or data.items.kind != known.kind:
        return False
    nearest = known.similarity(list(found.texts.values()))
    found.similarity = dict(zip(found.texts, nearest, strict=True))
    return True


def _joined(mark: str, cells: list[str]) -> str:
    """The cells of all nodes as one; empty, and not blanks, if all of them are."""
    return mark.join(cells) if any(cells) else ""


def _similarity_cell(similarity: float) -> str:
    return "" if math.isnan(similarity) else number_cell(similarity)


def _far(found: Predictions) -> dict[str, int]:
    """How many rows are far from the training, where that is known."""
    return {"far": sum(s < FAR for s in found.similarity.values())} if found.similarity else {}
