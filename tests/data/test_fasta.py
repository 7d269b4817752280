"""What people's FASTA files hold besides records."""

import pytest

from gia.data import DataModule, Fasta, Record, Sequences


def fasta(tmp_path, text, **options):
    file = tmp_path / "a.fasta"
    file.write_bytes(text.encode())
    return Fasta(file, **options)


def test_comments_are_no_residues(tmp_path):
    text = "; made by hand\n# for BLAST\n>a b\n;checked\nMKV\n  ; again\nLLA\n!end\n>c\n\n;x\nWW\n"
    source = fasta(tmp_path, text)
    assert source.records() == [Record("a", "MKVLLA"), Record("c", "WW")]
    assert source.notes() == ["6 lines of comment were left out"]


def test_comments_of_pearson(shared_data):
    source = Fasta(shared_data.parent / "cases" / "comments.fasta")
    records = source.records()
    assert [record.name for record in records] == [f"p{i}" for i in range(40)]
    assert {len(record.sequence) for record in records} == {25}
    assert records[0].sequence == "TSKGMKSHLNWMGSPGWYTWHRVQL"
    assert source.notes() == ["40 lines of comment were left out"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines(tmp_path, end):
    text = end.join(["", "  >a one", "MK V", " ", "LL\t", " >b", "", ">c", "W"])
    source = fasta(tmp_path, text)
    assert source.records() == [Record("a", "MKVLL"), Record("b", ""), Record("c", "W")]
    assert source.notes() == []


def test_what_comes_before_the_first_header_is_told(tmp_path):
    source = fasta(tmp_path, "Some header\nMKV\n;comment\n>a\nMKV\n")
    assert source.records() == [Record("a", "MKV")]
    assert source.notes() == [
        "1 lines of comment were left out",
        "2 lines before the first header were left out, the first is 'Some header'",
    ]


@pytest.mark.parametrize("text", ["MKV\nLLA\n", "; only a comment\n", "smiles,y\nC,1\n"])
def test_what_is_no_fasta_is_named(tmp_path, text):
    with pytest.raises(ValueError, match=r"a\.fasta has no '>' header.*data=csv.*data=text"):
        fasta(tmp_path, text).records()


def test_names_are_of_one_record_each(tmp_path):
    headers = ["sp one", "sp two", "sp two", "sp two #2", "q", "", "x y", "", "sp"]
    source = fasta(tmp_path, "".join(f">{header}\nMK\n" for header in headers))
    names = [record.name for record in source.records()]
    assert names == [
        *("sp one", "sp two", "sp two #2'", "sp two #2"),
        *("q", "sequence_5", "x", "sequence_7", "sp"),
    ]
    assert source.notes() == [
        "5 sequences share the first word of their header with another: they are named by all of it"
    ]


def test_an_alignment_is_read_as_its_sequences(tmp_path):
    items = fasta(tmp_path, ">q\nMKVL\n>h\nM-kaV.\n>s\n-MV*\n", target_type=None).load()
    assert [data.text for data in items.graphs] == ["MKVL", "MKAV", "MV"]
    assert items.unknown == {}
    assert [note.partition(",")[0] for note in items.notes] == [
        "2 sequences had gaps (- or .)",
        "1 sequences ended in a stop (*)",
        "1 sequences contain lower case (soft masking",
    ]


def test_a_genome_in_windows(tmp_path):
    genome = "ACGTTGCAAC" * 90
    text = f">g\n{genome.lower()}\n>short\nA\n>h\nACG-T*\n"
    common = {"alphabet": "ACGT", "target_type": "next_token", "max_length": 100}
    source = fasta(tmp_path, text, windows=True, **common)
    data = DataModule(source, target_type="next_token", split="contiguous")
    data.setup()
    assert [graph.name for graph in data.graphs[:2]] == ["g:0", "g:100"]
    assert [graph.row for graph in data.graphs] == list(range(10))
    assert "".join(graph.text for graph in data.graphs[:9]) == genome[1:]
    assert data.graphs[9].text == "CGT"
    assert data.inputs()["framed"] is False
    assert data.summary()["cut"] == 0
    assert [note.partition(" (")[0] for note in data.summary()["notes"]] == [
        *("1 sequences had gaps", "1 sequences ended in a stop"),
        *("1 sequences contain lower case", "1 of fewer than two symbols make no window"),
    ]
    other = data.for_model(data.inputs(), tmp_path / "a.fasta")
    assert len(other.test_data) == 10


def test_a_single_long_sequence_cannot_be_split_but_its_windows_can(tmp_path):
    import random

    genome = "".join(random.Random(0).choices("ACGT", k=9000))
    options = {"alphabet": "ACGT", "target_type": "next_token"}
    whole = fasta(tmp_path, f">g\n{genome}\n", **options)
    message = r"here is 1: .*data\.windows=true data\.max_length=256"
    for split in ("similarity", "random", "contiguous"):
        with pytest.raises(ValueError, match=message):
            DataModule(whole, target_type="next_token", split=split).setup()
    source = fasta(tmp_path, f">g\n{genome}\n", windows=True, max_length=256, **options)
    summary = DataModule(source, target_type="next_token", split="similarity").summary()
    assert [summary[part]["sequences"] for part in ("train", "val", "test")] == [28, 4, 4]


def test_windows_are_for_a_language_model(tmp_path):
    with pytest.raises(ValueError, match=r"data\.windows=true is for task=language_modeling"):
        fasta(tmp_path, ">a\nMKV\n", windows=True).load()
    with pytest.raises(ValueError, match=r"needs whole sequences: data\.windows=false"):
        fasta(tmp_path, ">a\nMKV\n", windows=True, append_label=True)
    other = fasta(tmp_path, ">a\nMKV\n", windows=True)
    table = tmp_path / "t.csv"
    table.write_text("sequence\nMKV\n")
    assert type(other.with_file(table, sequence_column="sequence")) is Sequences


def test_real_files(shared_data):
    folder = shared_data / "public"
    dups = Fasta(folder / "biopython" / "dups.fasta")
    assert [record.name for record in dups.records()][::3] == [
        "alpha",
        "alpha (again - this is a duplicate entry to test the indexing code)",
    ]
    [hiv] = Fasta(folder / "biopython" / "NC_001802lc.fna", alphabet="ACGT").load().graphs
    assert hiv.num_nodes + hiv.cut == 9181
