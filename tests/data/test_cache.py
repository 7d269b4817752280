"""Processed graphs are kept whole or not at all."""

from pathlib import Path

import pytest
import torch

from gia.data import DataModule
from gia.data.cache import digest, processed
from gia.data.items import from_plain, to_plain


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "processed"


@pytest.fixture
def few(esol, tmp_path):
    """The first 100 molecules of ESOL."""
    lines = Path(esol.path).read_text().splitlines()[:101]
    (tmp_path / "few.csv").write_text("\n".join(lines))
    return esol.with_file(tmp_path / "few.csv")


def equal(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys()
        for key, value in a.to_dict().items():
            same = torch.equal(value, b[key]) if torch.is_tensor(value) else value == b[key]
            assert same, key


def count_loads(source, monkeypatch):
    calls, kind = [], type(source)
    load = kind.load
    monkeypatch.setattr(kind, "load", lambda self, *args: calls.append(1) or load(self, *args))
    return calls


def test_a_table_survives_being_kept(bbbp_table, tmp_path):
    table = bbbp_table
    torch.save(to_plain(table), tmp_path / "t.pt")
    again = from_plain(torch.load(tmp_path / "t.pt", weights_only=True))
    equal(again.graphs, table.graphs)
    for name, value in vars(table).items():
        assert name == "graphs" or getattr(again, name) == value


def test_an_empty_table_survives(molecules, folder):
    data = molecules(("?", 1), ("", 2))
    for _ in range(2):
        with pytest.raises(ValueError, match="no graph with a target is left of 2 rows"):
            data.setup()


def test_graphs_are_processed_once(few, folder, monkeypatch):
    options = {"rwse": 4, "laplacian": 2}
    first = DataModule(few, **options)
    first.setup()
    [file] = folder.iterdir()
    calls = count_loads(few, monkeypatch)
    second = DataModule(few, **options)
    second.setup()
    assert not calls
    equal(first.graphs, second.graphs)
    DataModule(few, **options | {"rwse": 5}).setup()
    assert calls
    assert len(list(folder.iterdir())) == 2
    assert file.exists()


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[::-1]])
def test_a_damaged_file_is_built_again(molecules, folder, damage):
    rows = [("C" * n, n) for n in range(1, 31)]
    molecules(*rows).setup()
    [file] = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    with pytest.warns(UserWarning, match="is damaged and is built again"):
        molecules(*rows).setup()
    assert len(torch.load(file, weights_only=True)["cells"]) == 30


def test_an_interrupted_processing_leaves_nothing(few, folder, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gia.data.datasets.base.progress", interrupted)
        with pytest.raises(KeyboardInterrupt):
            DataModule(few, rwse=2).setup()
    assert not folder.exists()
    with monkeypatch.context() as patch:
        patch.setattr("gia.data.cache.torch.save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            DataModule(few, rwse=2).setup()
    assert list(folder.iterdir()) == []
    data = DataModule(few, rwse=2)
    data.setup()
    assert len(data.graphs) == 100


def test_a_cache_out_of_reach_only_warns(few, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "file"))
    table = few.load()
    with pytest.warns(UserWarning, match="could not be kept .*GIA_CACHE"):
        assert processed("key", lambda: table) is table


def test_digests_know_the_versions(monkeypatch):
    before = digest("x", 1)
    assert before == digest("x", 1) != digest("x", 2)
    monkeypatch.setattr("gia.data.cache.version", lambda package: "0")
    assert digest("x", 1) != before
