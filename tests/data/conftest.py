"""Real data for the tests of gia.data."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gia.data import DataModule, Items, Molecules, Peptides, Record, Sequences

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def peptides() -> list[Record]:
    return Peptides().records()


@pytest.fixture(scope="session")
def proteins() -> list[Record]:
    path = SHARED / "protein" / "rcsb_fold.csv"
    if not path.exists():
        pytest.skip("../shared/data/protein/rcsb_fold.csv is not here")
    columns = {"label_column": "foldClass", "name_column": "pdbChainId"}
    return Sequences(path, "sequence", target_type=None, **columns).records()


@pytest.fixture(scope="session")
def shakespeare() -> Path:
    path = SHARED / "text" / "tinyshakespeare.txt"
    if not path.exists():
        pytest.skip("../shared/data/text/tinyshakespeare.txt is not here")
    return path


@pytest.fixture
def source():
    """Makes records of hand-written sequences."""

    def make(*sequences: str, labels: tuple[str, ...] = ()) -> list[Record]:
        labels = labels or (None,) * len(sequences)
        pairs = enumerate(zip(sequences, labels, strict=True))
        return [Record(f"s{i}", sequence, label) for i, (sequence, label) in pairs]

    return make


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Iterator[Path]:
    """A cache of the tests' own, so that none finds what another run left."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIA_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def esol(shared_data) -> Molecules:
    path = shared_data / "molecules" / "delaney-processed.csv"
    return Molecules(
        path, "smiles", "measured log solubility in mols per litre", name_column="Compound ID"
    )


@pytest.fixture(scope="session")
def bbbp(shared_data) -> Molecules:
    return Molecules(shared_data / "molecules" / "BBBP.csv", "smiles", "BBBP")


@pytest.fixture(scope="session")
def bbbp_table(bbbp) -> Items:
    return bbbp.load()


@pytest.fixture
def molecules(tmp_path):
    """Makes a datamodule of hand-written molecules: a table of SMILES, target and further cells."""

    def make(*rows: tuple, header: str = "smiles,y", **options) -> DataModule:
        file = tmp_path / "molecules.csv"
        file.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]))
        columns = header.split(",")
        targets = [name for name in columns if name.startswith("y")]
        if "part" in columns:
            options["split_column"] = "part"
        return DataModule(Molecules(file, "smiles", targets), **options)

    return make
