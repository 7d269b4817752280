"""The default data: antimicrobial and other peptides, out of the PyPI package modlamp."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

from gia.data.datasets.sequences import Record, SequenceDataset
from gia.data.files import read_text

PACKAGE, TABLE = "modlamp", "modlamp/data/AMPvsUniProt.csv"


class Peptides(SequenceDataset):
    """5,200 peptides: 2,600 antimicrobial (APD3) and 2,600 other (UniProt, 10 to 50 residues).

    The target ``activity`` says which. They are read from the files of the installed package
    `modlamp <https://modlamp.org>`_ without importing it, since its own dependencies are heavy.

    Args:
        **options: of :class:`gia.data.datasets.SequenceDataset`.
    """

    target_names = ("activity",)

    def records(self) -> list[Record]:
        """All peptides in the table's order, labelled ``antimicrobial`` or ``other``.

        Raises:
            ImportError: if modlamp is not installed.
        """
        try:
            path = distribution(PACKAGE).locate_file(TABLE)
        except PackageNotFoundError as error:
            raise ImportError(
                "the peptide set comes in the package modlamp, which is not installed: "
                "pip install gia[bio], or use data of your own with data=fasta data.path=..."
            ) from error
        rows = read_text(path).splitlines()[1:]  # the first line holds counts, not names
        fields = [[field.strip() for field in row.split(",")] for row in rows]
        labels = ["antimicrobial" if flag == "1" else "other" for _, flag in fields]
        return [
            Record(f"peptide_{i}", sequence, label, [label])
            for i, ((sequence, _), label) in enumerate(zip(fields, labels, strict=True))
        ]

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """The name, sequence and class of each peptide."""
        rows = [
            {"name": record.name, "sequence": record.sequence, "activity": record.label}
            for record in self.records()
        ]
        return ["name", "sequence", "activity"], rows
