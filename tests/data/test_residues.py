"""What of a written sequence is residues."""

import pytest
import torch

from gia.data import ByteTokenizer, CharTokenizer, DataModule, Records, ResidueTokenizer, Sequences
from gia.data.residues import Residues, same_sequence


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("M G L P V", "MGLPV"),
        ("M\tG\xa0L\n", "MGL"),
        ("MK--V.L", "MKVL"),
        ("MKV*", "MKV"),
        ("MKV**-", "MKV"),
        ("M*KV*", "M*KV"),
        ("--*", ""),
        ("mkV", "mkV"),
        ("MKV", "MKV"),
    ],
)
def test_what_is_no_residue_is_left_out(written, read):
    assert Residues(ResidueTokenizer())(written) == read


def test_symbols_of_the_alphabet_stay():
    assert Residues(CharTokenizer("MK-* "))("M -K*.") == "M -K*"
    assert Residues(ByteTokenizer())(" M-.*") == " M-.*"


def test_what_is_left_out_is_told(source):
    sequences = ["M K", "M-K.", "MK*", "M*K", "mK", "MK", "M  --K"]
    notes = Records(source(*sequences)).load().notes
    assert notes == [
        "2 sequences had blanks between residues, which were left out",
        "2 sequences had gaps (- or .), which were left out: 4 in all",
        "1 sequences ended in a stop (*), which was left out",
        "1 sequences have a stop (*) inside, which is read as <unk>",
        "1 sequences contain lower case (soft masking, insertions of an alignment or D-amino "
        "acids), read as upper case: a data.alphabet with letters of both cases keeps them apart",
    ]
    assert Records(source("MK", "V")).load().notes == []


def test_case_that_the_alphabet_keeps_is_not_merged(source):
    both = "ACDEFGHIKLMNPQRSTVWYacdefghiklmnpqrstvwy"
    items = Records(source("ff", "FF"), alphabet=both).load()
    assert [data.text for data in items.graphs] == ["ff", "FF"]
    assert items.notes == []
    merged = Records(source("ff", "FF")).load()
    assert [data.text for data in merged.graphs] == ["FF", "FF"]
    assert Records(source("fx"), alphabet="Ff").load().notes == []  # x is unknown, not merged


def test_a_sequence_without_residues_is_told(source):
    items = Records(source("MK", "---*", " ", "")).load()
    reasons = [(entry.row, entry.reason) for entry in items.rejected]
    assert reasons == [
        (1, "the sequence holds no residue"),
        (2, "the sequence is empty"),
        (3, "the sequence is empty"),
    ]


def test_one_sequence_written_twice_has_one_text(source):
    items = Records(source("MKVL", "mk-v.l*", "M K V L")).load()
    assert {data.text for data in items.graphs} == {"MKVL"}
    assert same_sequence(" mk-v.l* ") == same_sequence("MKVL") == "MKVL"


def test_values_of_residues_follow_them(tmp_path):
    rows = ["M-KV*,H.CCE", "M K V,H C C", "MKV*,HCC", "MKV,HCC", "M--,HCC"]
    file = tmp_path / "t.csv"
    file.write_text("\n".join(["seq,y", *rows]))
    dataset = Sequences(file, "seq", "y", target_level="node")
    data = DataModule(dataset, target_type="classification", split="none")
    data.setup()
    y = [[data.items.class_names[int(v)] for v in graph.y.flatten()] for graph in data.graphs]
    assert y == [["H", "C", "C"]] * 4 + [["H"]]
    file.write_text("seq,y\nM-KV*,1 0 2 3 4\nM K V,1 2 3\n")
    data = DataModule(Sequences(file, "seq", "y", target_level="node"), split="none")
    data.setup()
    assert torch.cat([graph.y for graph in data.graphs]).flatten().tolist() == [1, 2, 3] * 2


def test_residues_between_blanks(shared_data):
    file = shared_data / "public" / "deepchem" / "example_protein_classification.csv"
    items = Sequences(file, "protein", "outcome").load()
    assert items.unknown == {}
    assert items.graphs[0].text == "MGLPVSWAPPALWVLGCCALLLSLWALCT"
