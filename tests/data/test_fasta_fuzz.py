"""Thousands of FASTA files, checked by how they were made and against Biopython's reading."""

import io
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gia.data import DataModule, Fasta

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
MANY = settings(max_examples=1500, derandomize=True, deadline=None)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """One file, which every example writes anew."""
    return tmp_path_factory.mktemp("fuzz") / "fuzz.fasta"


@dataclass
class Written:
    """A record as it stands in a file."""

    header: str
    pieces: list[str]


words = st.text("abcXYZ019|_/.-", min_size=1, max_size=6)
headers = st.one_of(
    st.just(""),
    words,
    st.builds("{} {}".format, st.sampled_from(["sp", "tr"]), words),
)
plain = st.text(AMINO_ACIDS, max_size=12)
written = st.text(AMINO_ACIDS + AMINO_ACIDS.lower() + "-. ", max_size=12)
comments = st.builds(
    "{}{}".format, st.sampled_from(";#!"), st.text(AMINO_ACIDS + " >;", max_size=9)
)
blanks = st.sampled_from(["", " ", "\t"])
ends = st.sampled_from(["\n", "\r\n", "\r"])


def records(lines):
    return st.lists(
        st.builds(Written, headers, st.lists(lines, max_size=4)), min_size=1, max_size=6
    )


@MANY
@given(records(plain), ends)
def test_plain_files_are_biopythons(file, entries, end):
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    lines = [line for entry in entries for line in (f">{entry.header}", *entry.pieces)]
    file.write_bytes(end.join([*lines, ""]).encode())
    with open(file) as stream:
        theirs = list(SimpleFastaParser(io.StringIO(stream.read())))
    found = Fasta(file).records()
    assert [record.sequence for record in found] == [sequence for _, sequence in theirs]
    assert len({record.name for record in found}) == len(found)
    firsts = [(header.split() or [""])[0] for header, _ in theirs]
    for record, first in zip(found, firsts, strict=True):
        if firsts.count(first) == 1 and first and not first.startswith("sequence_"):
            assert record.name == first


@MANY
@given(records(st.one_of(plain, st.builds(";{}".format, plain))), ends)
def test_comments_are_those_of_pearson(file, entries, end):
    fasta = pytest.importorskip("Bio.SeqIO.FastaIO")
    if not hasattr(fasta, "FastaPearsonIterator"):
        pytest.skip("this Biopython does not read Pearson's format")
    lines = [line for entry in entries for line in (f">{entry.header}", *entry.pieces)]
    file.write_bytes(end.join([*lines, ""]).encode())
    theirs = [str(record.seq) for record in fasta.FastaPearsonIterator(file)]
    assert [record.sequence for record in Fasta(file).records()] == theirs


@MANY
@given(records(written), st.data(), ends)
def test_what_is_no_residue_is_left_out(file, entries, data, end):
    lines, noise = [], st.lists(st.one_of(comments, blanks), max_size=2)
    stops = []
    for entry in entries:
        stop = data.draw(st.sampled_from(["", "*", "**"]))
        stops.append(stop)
        pieces = [*entry.pieces, stop]
        for line in (f">{entry.header}", *pieces):
            lines += [*data.draw(noise), line]
    before = data.draw(st.sampled_from([[], ["; comment"], ["Some words"], [""]]))
    file.write_bytes(end.join([*before, *lines, *data.draw(noise)]).encode())
    expected = [
        "".join(symbol for piece in entry.pieces for symbol in piece.upper() if symbol.isalpha())
        for entry in entries
    ]
    source = Fasta(file, target_type=None)
    items = source.load()
    read = {data.row: data.text for data in items.graphs}
    assert [read.get(row, "") for row in range(len(entries))] == expected
    assert {entry.row for entry in items.rejected} == {
        row for row, sequence in enumerate(expected) if not sequence
    }
    assert items.unknown == {}
    told = " ".join(items.notes)
    assert ("stop (*)" in told) == any(stops)
    assert ("gaps" in told) == any(g in p for entry in entries for p in entry.pieces for g in "-.")
    assert ("lower case" in told) == any(p != p.upper() for entry in entries for p in entry.pieces)
    assert ("before the first header" in told) == (before == ["Some words"])


@MANY
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=6), st.booleans())
def test_anything_else_is_read_or_named(file, lines, header):
    text = "\n".join([">a", *lines] if header else lines)
    file.write_bytes(text.encode())
    options = {"split": "none", "tokens_per_batch": 4096}
    data = DataModule(Fasta(file), target_type="next_token", **options)
    message = refusal(data)
    if message is None:
        assert header or any(line.strip().startswith(">") for line in text.splitlines())
        assert all(graph.num_nodes > 0 for graph in data.graphs)
    else:
        assert len(message.splitlines()) == 1
        assert any(named in message for named in ("fuzz.fasta", "data.alphabet", "row 0"))


def refusal(data):
    """Why the data cannot be used, None if it can."""
    try:
        data.setup()
    except (ValueError, OSError) as error:
        return str(error)
    return None


@MANY
@given(
    st.lists(st.text(AMINO_ACIDS, min_size=1, max_size=8), min_size=3, max_size=12),
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["lower", "gaps", "blanks", "stop"])),
             max_size=12),
    st.sampled_from(["random", "similarity"]),
)  # fmt: skip
def test_parts_share_no_sequence(file, sequences, copies, split):
    rewritten = {
        "lower": str.lower,
        "gaps": lambda text: f"-{text[:1]}.{text[1:]}",
        "blanks": lambda text: " ".join(text),
        "stop": lambda text: f"{text}*",
    }
    for number, how in copies:
        sequences = [*sequences, rewritten[how](sequences[number % len(sequences)])]
    file.write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(sequences)))
    fractions = {"val_fraction": 0.3, "test_fraction": 0.3}
    source = Fasta(file, target_type="next_token")
    data = DataModule(source, target_type="next_token", split=split, batch_size=4, **fractions)
    message = refusal(data)
    if message is not None:
        assert "part of the split is empty" in message or "three parts" in message
        return
    cleaned = ["".join(s for s in text.upper() if s.isalpha()) for text in sequences]
    assert data.texts == cleaned
    assert data.summary()["in_several_parts"] == 0
    assert data.summary()["duplicates"] == len(cleaned) - len(set(cleaned))
