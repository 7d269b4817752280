"""Letters that an alphabet lacks."""

import random

import pytest

from gia.data import CharTokenizer, DataModule, Fasta, Records, Sequences, Text

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


def drawn(letters, number=20, length=30):
    draw = random.Random(0)
    return ["".join(draw.choices(letters, k=length)) for _ in range(number)]


def data(records, alphabet=AMINO_ACIDS, **options):
    options = {"split": "random", "tokens_per_batch": 2048, **options}
    return DataModule(Records(records, alphabet=alphabet), target_type="next_token", **options)


@pytest.mark.parametrize(
    ("written", "alphabet", "message"),
    [
        ("ACGU", "ACGT", r"% of all letters are not in data\.alphabet=ACGT: 'U' \(\d+\), first"),
        ("ACGU", "ACGT", r"in record 's0'; these look like RNA: give data\.alphabet=ACGU$"),
        ("ACGT", "ACGU", r"look like DNA: give data\.alphabet=ACGT$"),
        ("acgt", "ACGU", r"'t' \(\d+\), .* look like DNA: give data\.alphabet=ACGT$"),
        ("ACGTU", "ACGT", r"look like DNA and RNA: give data\.alphabet=ACGTU$"),
        ("ACGU", AMINO_ACIDS, r"look like RNA: give data\.alphabet=ACGU$"),
        (AMINO_ACIDS, "ACGT", r"and \d+ other symbols, .* proteins: give data\.alphabet=ACDEF"),
        (AMINO_ACIDS + "BZJ", AMINO_ACIDS, r"all: if they are, give data\.alphabet=.*YBJZ$"),
        ("CCCO(=)1", AMINO_ACIDS, "these look like SMILES: use data=molecules"),
        ("0123.", AMINO_ACIDS, r"no sequences at all: look at the file, and at data\.sequence_col"),
    ],
)
def test_many_unknown_letters_are_refused(source, written, alphabet, message):
    with pytest.raises(ValueError, match=message):
        data(source(*drawn(written)), alphabet).setup()


def test_what_the_message_says_works(source):
    for written, alphabet in (("ACGU", "ACGU"), ("ACDEFGHIKLMNPQRSTVWYBZJ", AMINO_ACIDS + "BJZ")):
        assert data(source(*drawn(written)), alphabet).summary()["unknown"] == {}


def test_a_tenth_is_the_bound(source):
    few = ["MKVLMKVLMB", *drawn(AMINO_ACIDS)]
    assert data(source(*few)).summary()["unknown"] == {"B": 1}
    tenth = source(*(f"{s[:9]}B" for s in drawn(AMINO_ACIDS)))
    assert data(tenth).summary()["unknown"] == {"B": 20}
    more = source(*(f"{s[:8]}B" for s in drawn(AMINO_ACIDS)))
    with pytest.raises(ValueError, match=r"^11\.1% of all letters are not in"):
        data(more).setup()


def test_what_stands_for_any_letter_is_no_error(source):
    masked = source(*(f"{s}nnnnnnnnnnnnNNNNNNNNNN" for s in drawn("ACGT")))
    summary = data(masked, "ACGT").summary()
    assert summary["unknown"] == {"N": 200, "n": 240}
    assert summary["letters"] == 20 * 52


def test_strict_comes_first(source):
    with pytest.raises(ValueError, match=r"data\.strict=true, but the alphabet lacks 'U'"):
        data(source(*drawn("ACGU")), "ACGT", strict=True).setup()


def test_a_trained_model_keeps_its_alphabet(source):
    trained = data(source(*drawn("ACGT")), "ACGT")
    other = data(source(*drawn("ACGU")), "ACGT").for_model(trained.inputs(), whole=True)
    with pytest.raises(ValueError, match=r"look like RNA: the model was trained on other letters"):
        other.setup()
    proteins = data(source(*drawn(AMINO_ACIDS)))
    for sequences, fits in (
        (["MKVB"], True),
        (["MKBB"], True),
        (["BBVB"], False),
        (["C(=O)"], False),
    ):
        other = DataModule(Records(source(*sequences)), target_type="next_token", batch_size=4)
        other = other.for_model(proteins.inputs(), whole=True)
        if fits:
            assert len(other.test_data) == 1
        else:
            with pytest.raises(ValueError, match="the model was trained on other letters"):
                other.setup()


def test_nucleotides_read_as_amino_acids_are_told(source):
    [note] = data(source(*drawn("ACGT"))).summary()["notes"]
    assert note == "these look like DNA, read as amino acids: data.alphabet=ACGT fits"
    assert data(source(*drawn("ACG"))).summary()["notes"] == []  # a peptide may be of these
    assert data(source(*drawn("ACGT")), "ACGT").summary()["notes"] == []


def test_texts_may_hold_anything(tmp_path):
    file = tmp_path / "t.txt"
    file.write_text("abc, " * 40)
    text = Text(file, tokenizer=CharTokenizer("abc"), max_length=8)
    data = DataModule(text, target_type="next_token", split="contiguous", batch_size=4)
    assert data.summary()["unknown"] == {" ": 40, ",": 40}


def test_rna(shared_data):
    file = shared_data.parent / "cases" / "rna.fasta"
    fasta = Fasta(file, alphabet="ACGT", target_type="next_token")
    message = r"24\.9% .*'U' \(1,046\), first in record 'r0'; these look like RNA: .*=ACGU"
    with pytest.raises(ValueError, match=message):
        DataModule(fasta, target_type="next_token", split="similarity").setup()
    fasta = Fasta(file, alphabet="ACGU", target_type="next_token")
    summary = DataModule(fasta, target_type="next_token", split="similarity").summary()
    assert (summary["sequences"], summary["unknown"]) == (60, {})


def test_a_column_of_numbers_is_no_sequence(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("seq,y\n" + "".join(f"{i / 7:.4f},{i}\n" for i in range(30)))
    with pytest.raises(ValueError, match=r"may be no sequences at all"):
        DataModule(Sequences(file, "seq", "y")).setup()
