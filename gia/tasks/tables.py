"""Predictions as tables: a user's own again, or one part of the data."""

import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

from gia import __version__
from gia.analysis.prediction_table import check_columns, extend_table, number_cell, write_csv
from gia.analysis.predictions import Predictions
from gia.data.bad_rows import NothingLeft
from gia.data.bounds import bound_text
from gia.data.cache import digest
from gia.data.progress import Clock
from gia.data.training_set import FAR
from gia.tasks.said import Said, SaidOfTable

SIMILARITY = "similarity_to_training"  # the column
LEFT_OUT = "left out"  # the reason where no other is known
ROWS = 10_000  # of a table that are read at once


def predict_table(task: Any, data: Any, out: Path, key: str | None = None) -> dict[str, Any]:
    """See :meth:`gia.tasks.Prediction.predict_table`."""
    parts = list(data.parts(ROWS))
    several, found = len(parts) > 1, 0
    columns, _ = parts[0].dataset.table()
    check_columns(columns, [*task.columns(), *([] if task.training_set is None else [SIMILARITY])])
    number = len(data.dataset.columns) if several else 0
    said = SaidOfTable(out.with_name(f"{out.name}.parts") if several and key else None)
    clock = Clock()
    if several:
        _tell(f"{number:,} rows, {ROWS:,} at a time; interrupted, the same command goes on")
    while parts:
        part = parts.pop(0)  # with it goes what is read of it
        name = _key(key, part) if several else ""
        try:
            if not said.add(partial(_say, task, part), name):
                found = len(said)
        except ValueError as error:  # of no row of it, or of all of them
            if not several:
                raise
            said.add(partial(_nothing, part, error), name)
        if several:
            times = clock.times((len(said) - found) / max(1, number - found))
            _tell(f"{len(said):,} of {number:,} rows; {times}")
    if all(isinstance(cells, str) for cells in said):
        reason = next(iter(said))
        said.forget()
        raise ValueError(f"none of {len(said):,} rows can be predicted; the first: {reason}")
    rows = (row for part in data.parts(ROWS) for row in part.dataset.table()[1])
    done = extend_table(out, columns, rows, said.columns, said)
    said.forget()
    more = {"far": said.far, "filled": said.filled}
    return done | {name: value for name, value in more.items() if value not in (None, [])}


def _say(task: Any, data: Any) -> Said:
    """What a task says of the rows of a datamodule."""
    data.setup()
    _, rows = data.dataset.table()
    new, found = task.columns(), task.predictions(data.loader("test"))
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
    said = [cells.get(row, reasons.get(row, LEFT_OUT)) for row in range(len(rows))]
    first = getattr(getattr(data.dataset, "columns", None), "first", 0)
    filled = [vars(entry) | {"row": first + entry.row} for entry in data.items.filled]
    return Said(new, said, filled, _far(found).get("far"))


def _nothing(data: Any, error: ValueError) -> Said:
    """Why nothing can be said of a datamodule's rows: of each, or of all of them together."""
    reasons = {}
    if isinstance(error, NothingLeft):
        reasons = {entry.row: entry.reason for entry in error.items.rejected}
    return Said([], [reasons.get(row, str(error)) for row in range(len(data.dataset.columns))])


def _key(key: str | None, data: Any) -> str:
    """What is said of a part of a table depends on this."""
    columns = data.dataset.columns
    return digest("predictions", __version__, key, columns.first, columns.values)


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def predict_part(task: Any, data: Any, part: str, out: Path) -> dict[str, Any]:
    """See :meth:`gia.tasks.Prediction.predict_part`."""
    data.setup()
    found = task.predictions(data.loader(part))
    compare_with_training(task, data, found)
    write_predictions(task, found, out)
    filled = list(map(vars, data.items.filled))
    done = {"predicted": len(found.rows), "problems": 0} | _far(found)
    return done | ({"filled": filled} if filled else {})


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
