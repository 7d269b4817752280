"""The default data: antimicrobial and other peptides, out of the PyPI package modlamp."""

from importlib.metadata import PackageNotFoundError, distribution

from gia.data.files import read_text
from gia.data.sequence import Record

PACKAGE, TABLE = "modlamp", "modlamp/data/AMPvsUniProt.csv"


class Peptides:
    """5,200 peptides: 2,600 antimicrobial (APD3) and 2,600 other (UniProt, 10 to 50 residues).

    Read from the files of the installed package `modlamp <https://modlamp.org>`_ without importing
    it, since its own dependencies are heavy.

    Raises:
        ImportError: if modlamp is not installed.
    """

    def load(self) -> list[Record]:
        """All peptides in the table's order, labelled ``antimicrobial`` or ``other``."""
        try:
            path = distribution(PACKAGE).locate_file(TABLE)
        except PackageNotFoundError as error:
            raise ImportError(
                "the peptide set comes in the package modlamp, which is not installed: "
                "pip install gia[bio], or use data of your own with data=fasta data.path=..."
            ) from error
        rows = read_text(path).splitlines()[1:]  # the first line holds counts, not names
        fields = [[field.strip() for field in row.split(",")] for row in rows]
        return [
            Record(f"peptide_{i}", sequence, "antimicrobial" if flag == "1" else "other")
            for i, (sequence, flag) in enumerate(fields)
        ]
