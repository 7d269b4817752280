"""Sequences from a table with named columns: CSV, tab-separated or JSON."""

from os import PathLike

from gia.data.columns import read_columns
from gia.data.sequence import Record


class Table:
    """The rows of a table with named columns, see :func:`gia.data.columns.read_columns`.

    Args:
        path: the file, also a gzipped one.
        sequence_column: the column that holds the sequences.
        label_column: the column that holds their classes.
        name_column: the column that holds their names; without it they are ``row_0`` and so on.
        url: where to download the file from if ``path`` does not exist.
        target_column: a target to predict, which these sequences do not have.

    Raises:
        ValueError: if there is a target.
    """

    def __init__(
        self,
        path: str | PathLike,
        sequence_column: str,
        label_column: str | None = None,
        name_column: str | None = None,
        url: str | None = None,
        target_column: str | None = None,
    ) -> None:
        if target_column is not None:
            raise ValueError(
                f"data.target_column={target_column} is to be predicted, but data=csv reads "
                "sequences for a language model: use data=labelled_csv with the same columns"
            )
        self.path, self.url = path, url
        self.sequence_column = sequence_column
        self.label_column = label_column
        self.name_column = name_column

    def load(self) -> list[Record]:
        """All rows in the file's order.

        Raises:
            OSError: if the file cannot be read.
            ValueError: if it is no such table or lacks a named column.
        """
        table = read_columns(self.path, self.url)
        for option in ("sequence_column", "label_column", "name_column"):
            table.check(option, getattr(self, option))
        cells = zip(
            table.labels(self.name_column),
            table.cells(self.sequence_column),
            table.cells(self.label_column),
            strict=True,
        )
        return [Record(name, sequence, label or None) for name, sequence, label in cells]
