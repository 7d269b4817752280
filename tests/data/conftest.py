"""Real data for the tests of gia.data."""

from pathlib import Path

import pytest

from gia.data import Peptides, Record, Table

SHARED = Path(__file__).parents[3] / "shared" / "data"


class Records:
    """A source that hands out what it was given."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records

    def load(self) -> list[Record]:
        return self.records


@pytest.fixture(scope="session")
def peptides() -> Records:
    return Records(Peptides().load())


@pytest.fixture(scope="session")
def proteins() -> Records:
    path = SHARED / "protein" / "rcsb_fold.csv"
    if not path.exists():
        pytest.skip("../shared/data/protein/rcsb_fold.csv is not here")
    return Records(Table(path, "sequence", "foldClass", "pdbChainId").load())


@pytest.fixture(scope="session")
def shakespeare() -> Path:
    path = SHARED / "text" / "tinyshakespeare.txt"
    if not path.exists():
        pytest.skip("../shared/data/text/tinyshakespeare.txt is not here")
    return path


@pytest.fixture
def source():
    """Makes a source of hand-written sequences."""

    def make(*sequences: str, labels: tuple[str, ...] = ()) -> Records:
        labels = labels or (None,) * len(sequences)
        pairs = enumerate(zip(sequences, labels, strict=True))
        return Records([Record(f"s{i}", sequence, label) for i, (sequence, label) in pairs])

    return make
