"""Where records come from, and what a user's file can have wrong."""

import gzip
import sys
from collections import Counter

import pytest

from gia.data import Fasta, Peptides, Record, Sequences, Text
from gia.data.files import write_atomically


def table(path, column, **options):
    return Sequences(path, column, target_type=None, **options)


def test_peptides(peptides):
    records = peptides
    assert Counter(record.label for record in records) == {"antimicrobial": 2600, "other": 2600}
    assert records[0].sequence == "GLWSKIKEVGKEAAKAAAKAAGKAALGAVSEAV"
    assert len({record.sequence for record in records}) == 5200 - 558
    assert set("".join(record.sequence for record in records)) == set("ACDEFGHIKLMNPQRSTVWY")


def test_peptides_without_the_package(monkeypatch):
    monkeypatch.setattr("gia.data.datasets.peptides.PACKAGE", "no-such-package")
    with pytest.raises(ImportError, match=r"pip install gia\[bio\]"):
        Peptides().records()


def test_fasta(tmp_path):
    file = tmp_path / "a.fasta"
    file.write_text("\n>one first entry\r\nMKV\r\nLLA\r\n>two\n\n>three\nmk\n")
    assert Fasta(file).records() == [
        Record("one", "MKVLLA"),
        Record("two", ""),
        Record("three", "mk"),
    ]


def test_gzipped_fasta(tmp_path):
    file = tmp_path / "a.fasta.gz"
    with gzip.open(file, "wt") as stream:
        stream.write(">one\nMKV\n")
    assert Fasta(file).records() == [Record("one", "MKV")]


def test_fasta_without_biopython(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "Bio.SeqIO.FastaIO", None)
    with pytest.raises(ImportError, match=r"pip install gia\[bio\]"):
        Fasta(tmp_path / "a.fasta").records()


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_table(tmp_path, delimiter):
    rows = [("id", "seq", "fold class"), ("a", " MKV ", "alpha"), ("", "LL", ""), ("c", "", "")]
    file = tmp_path / "t.csv"
    file.write_text("\ufeff" + "\n".join(delimiter.join(row) for row in rows), encoding="utf-8")
    assert table(file, "seq", label_column="fold class", name_column="id").records() == [
        Record("a", "MKV", "alpha"),
        Record("row_1", "LL", None),
        Record("c", "", None),
    ]
    assert [record.name for record in table(file, "seq").records()] == ["row_0", "row_1", "row_2"]


def test_table_of_proteins(proteins):
    records = proteins
    assert len(records) == 5370
    assert records[0].name == "16VP.A"
    assert Counter(record.label for record in records)["beta"] == 872


def test_text_patterns(tmp_path):
    for name in ("b.txt", "a.txt", "c.md"):
        (tmp_path / name).write_text(name)
    assert Text(tmp_path / "*.txt").records() == [
        Record("a.txt", "a.txt"),
        Record("b.txt", "b.txt"),
    ]
    assert [r.name for r in Text([tmp_path / "c.md", tmp_path / "a.txt"]).records()] == [
        "c.md",
        "a.txt",
    ]


@pytest.mark.parametrize("make", [Fasta, Text, lambda path: table(path, "seq")])
def test_every_source_names_a_bad_path(tmp_path, make):
    with pytest.raises(FileNotFoundError, match=r"data\.path=.*missing does not exist"):
        make(tmp_path / "missing").records()
    with pytest.raises(IsADirectoryError, match="is a directory"):
        make(tmp_path).records()
    empty = tmp_path / "empty"
    empty.write_text("\n")
    with pytest.raises(ValueError, match="empty is empty"):
        make(empty).records()
    latin = tmp_path / "latin"
    latin.write_bytes("seq\nß\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin is not UTF-8 text \(byte 0xdf at offset 4"):
        make(latin).records()
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(b"seq\nMKV\n")[:-9])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        make(torn).records()


def test_an_unreadable_file(tmp_path, monkeypatch):
    file = tmp_path / "locked.txt"
    file.write_text("a")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # a mode of 000 does not stop root
    with pytest.raises(PermissionError, match=r"locked.txt may not be read"):
        Text(file).records()


def test_fasta_without_headers(tmp_path):
    file = tmp_path / "a.fasta"
    file.write_text("MKV\n")
    with pytest.raises(ValueError, match=r"'>' header.*data=csv"):
        Fasta(file).records()


def test_a_missing_column_lists_the_columns(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("id,sequence,fold\na,MKV,alpha\n")
    with pytest.raises(ValueError, match=r"no column 'sequnce'.*id, sequence, fold.*=sequence\?"):
        table(file, "sequnce").records()
    with pytest.raises(ValueError, match=r"'class' \(data.label_column\)"):
        table(file, "sequence", label_column="class").records()


def test_a_table_without_rows_is_named(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("id,sequence\n")
    with pytest.raises(ValueError, match=r"t\.csv has no rows below its header: id, sequence"):
        table(file, "sequence").records()


def test_json_columns_are_a_table_too(tmp_path):
    file = tmp_path / "t.json"
    file.write_text('{"id": {"3": "a", "7": "b"}, "seq": {"3": "MKV", "7": "LL"}}')
    assert table(file, "seq", name_column="id").records() == [Record("a", "MKV"), Record("b", "LL")]
    with pytest.raises(ValueError, match=r"no column 'sequence'.*id, seq"):
        table(file, "sequence").records()


@pytest.mark.parametrize("text", ["{", '{"a": 1}', '{"a": {"0": "M"}, "b": {}}'])
def test_other_json_is_not_a_table(tmp_path, text):
    file = tmp_path / "t.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"t\.json is not a table"):
        table(file, "a").records()


def test_url_is_downloaded_once(tmp_path, monkeypatch):
    origin = tmp_path / "origin.fasta"
    origin.write_text(">a\nMKV\n")
    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "cache"))
    source = Fasta(tmp_path / "missing.fasta", url=origin.as_uri())
    assert source.records() == [Record("a", "MKV")]
    origin.unlink()
    assert source.records() == [Record("a", "MKV")]
    [cached] = (tmp_path / "cache" / "data").iterdir()
    assert cached.name.endswith("-origin.fasta")


def test_url_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "cache"))
    source = Fasta(tmp_path / "mine.fasta", url=(tmp_path / "gone.fasta").as_uri())
    with pytest.raises(
        FileNotFoundError, match=r"mine\.fasta does not exist and .*data\.path=\.\.\."
    ):
        source.records()
    assert list((tmp_path / "cache" / "data").iterdir()) == []


def test_a_local_file_comes_before_the_url(tmp_path):
    file = tmp_path / "a.fasta"
    file.write_text(">a\nMKV\n")
    assert Fasta(file, url="http://nowhere.invalid/a.fasta").records() == [Record("a", "MKV")]


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def interrupted():
        with write_atomically(file) as stream:
            stream.write("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
