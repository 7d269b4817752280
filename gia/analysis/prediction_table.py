"""A table with predictions beside what was in it, and the predictions of one part of the data."""

import os
from pathlib import Path
from typing import Any

from gia.analysis.predictions import (
    predict,
    prediction_cells,
    prediction_columns,
    write_csv,
    write_predictions,
)
from gia.tasks import Prediction

PROBLEM = "problem"


def check_out(out: str | os.PathLike, source: str | os.PathLike | None = None) -> Path:
    """See that a file can be written before any work is done for it.

    Args:
        out (Path): The file to write.
        source (Path, optional): The file that is read.

    Raises:
        ValueError, OSError: If it is the file that is read, a folder, or in none.
    """
    path = Path(out).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"out={out} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"out={out}: there is no folder {path.parent}; make it first")
    source = None if source is None else Path(source).expanduser()
    if source is not None and source.exists() and path.exists() and path.samefile(source):
        raise ValueError(f"out={out} is the table that is read: give another name")
    return path


def predict_table(task: Prediction, data: Any, out: Path) -> dict[str, int]:
    """Write the whole table of a datamodule's source again, with predictions.

    All rows and columns stay as they are and where they are. Behind them stand
    ``predicted_TARGET``, for classes ``probability_CLASS`` (``probability_TARGET_CLASS`` for
    several targets), and, if a row could not be predicted, ``problem`` with the reason. A cell
    holds what is said of all nodes, where nodes have targets: classes of one letter as a word.

    Args:
        task (Prediction): The trained task.
        data (DataModule): Of ``for_model``.
        out (Path): The CSV to write.

    Returns:
        How many rows were ``predicted`` and how many not (``problems``).

    Raises:
        ValueError: If the table already has a column of these names.
    """
    data.setup()
    columns, rows = data.dataset.table()
    new = [*prediction_columns(task), PROBLEM]
    taken = [name for name in new if name in columns]
    if taken:
        raise ValueError(
            f"the table already has the column {taken[0]!r}, which the predictions need: rename it "
            "or leave it out"
        )
    predictions = predict(task, data.loader("test"))
    cells: dict[int, list[list[str]]] = {}  # of a row, those of its graph or of all its nodes
    for row, output in zip(predictions.rows, predictions.output, strict=True):
        cells.setdefault(row, []).append(prediction_cells(task, output))
    reasons = {entry.row: entry.reason for entry in data.items.rejected}
    lines, problems = [], 0
    for number, row in enumerate(rows):
        kept = [row[column] for column in columns]
        if number in cells:
            lines.append([*kept, *_joined(task, cells[number]), ""])
        else:
            problems += 1
            lines.append([*kept, *[""] * (len(new) - 1), reasons.get(number, "left out")])
    if not problems:
        new, lines = new[:-1], [line[:-1] for line in lines]
    write_csv(out, [*columns, *new], lines)
    return {"predicted": len(cells), "problems": problems}


def predict_part(task: Prediction, data: Any, part: str, out: Path) -> dict[str, int]:
    """Write the predictions of one part of the data, with names, rows and targets.

    Args:
        task (Prediction): The trained task.
        data (DataModule): The data.
        part (str): ``"train"``, ``"val"`` or ``"test"``.
        out (Path): The CSV to write.

    Returns:
        How many graphs or nodes were ``predicted``; none has ``problems``.
    """
    data.setup()
    predictions = predict(task, data.loader(part))
    write_predictions(out, task, predictions)
    return {"predicted": len(predictions.rows), "problems": 0}


def _joined(task: Prediction, cells: list[list[str]]) -> list[str]:
    """One cell a column out of one row of cells a node."""
    if task.level == "graph":
        return cells[0]
    names = getattr(task, "class_names", [])
    letters = bool(names) and all(len(name) == 1 for name in names)  # as a column of targets is
    between = [
        "" if letters and column.startswith("predicted_") else " "
        for column in prediction_columns(task)
    ]
    return [
        mark.join(column) for mark, column in zip(between, zip(*cells, strict=True), strict=True)
    ]
