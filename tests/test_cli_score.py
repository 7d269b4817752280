"""Variants as a user meets them: a sequence in, a table and a heat map out."""

import csv
import math

import pytest
import torch
from runs import gia, peptides_fasta, read_table, write_table
from torch_geometric.data import Batch

from gia.tasks import Mutation, VariantScorer, read_variant
from gia.training import load_trained, trained_data

FAST = [
    *("model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=2"),
]
CAUSAL, MASKED = "causal/checkpoints/best.ckpt", "masked/checkpoints/best.ckpt"
SEQUENCE = "GLFDIIKKIAESF"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a language model and a model of hidden residues of the same peptides."""
    folder = tmp_path_factory.mktemp("score")
    peptides_fasta(folder)
    data = ["data=fasta", "data.path=peptides.fasta"]
    gia("train", *data, *FAST, "run_dir=causal", cwd=folder)
    gia(
        "train",
        *data,
        "model=graph_transformer",
        "task=masked",
        *FAST,
        "run_dir=masked",
        cwd=folder,
    )
    (folder / "two.fasta").write_text(f">a\n{SEQUENCE}\n>b\nMKWVTXF\n")
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    """Task and items of a checkpoint."""

    def load(path):
        task, config = load_trained(folder / path)
        config.data.path = str(folder / "peptides.fasta")
        data = trained_data(config, {"path": str(folder / "two.fasta")})
        return task, list(data.test_data), VariantScorer(task, data.tokenizer)

    return load


def test_mutations_are_read_as_the_field_writes_them():
    assert read_variant("A2G", "MAK") == [Mutation(1, "G")]
    assert read_variant(" a2g:K3R ", "MAK") == [Mutation(1, "G"), Mutation(2, "R")]
    for text, reason in (
        ("", "no mutation is named"),
        ("A2", "is no mutation such as A24G"),
        ("G2A", "residue 2 of the sequence is A"),
        ("A4G", "the sequence has 3 residues"),
        ("A0G", "the sequence has 3 residues"),
        ("A2G:A2C", "a residue is changed twice"),
    ):
        with pytest.raises(ValueError, match=reason):
            read_variant(text, "MAK")


@torch.no_grad()
def test_a_causal_score_is_the_ratio_of_whole_sequences(loaded):
    task, (item, other), scorer = loaded(CAUSAL)
    assert "".join(scorer.residues(item)) == SEQUENCE

    def log_p(data):
        loss, number = task.loss(Batch.from_data_list([data]))
        return -float(loss) * number

    scores = scorer.singles(item)
    assert scores.shape == (len(SEQUENCE), 20)
    own = [scorer.letters.index(letter) for letter in SEQUENCE]
    assert scores[range(len(SEQUENCE)), own].eq(0).all()
    for place, letter in ((0, "K"), (5, "W"), (12, "A")):
        mutant = item.clone()
        token = scorer.numbers[letter]
        mutant.token[place + 1], mutant.y[place] = token, token
        assert float(scores[place, scorer.letters.index(letter)]) == pytest.approx(
            log_p(mutant) - log_p(item), abs=1e-4
        )
    double = [Mutation(0, "K"), Mutation(5, "W")]
    both = item.clone()
    for place, letter in double:
        both.token[place + 1] = both.y[place] = scorer.numbers[letter]
    assert float(scorer.listed(item, [double])[0]) == pytest.approx(
        log_p(both) - log_p(item), abs=1e-4
    )
    unknown = scorer.singles(other)  # X is no letter that could be compared with
    assert unknown[5].isnan().all()
    assert unknown[:5].isfinite().all()


@torch.no_grad()
def test_a_causal_score_of_the_changed_residues_alone(loaded):
    task, (item, _), _ = loaded(CAUSAL)
    scorer = VariantScorer(task, loaded(CAUSAL)[2].tokenizer, whole=False)
    log_p = task.model(Batch.from_data_list([item])).log_softmax(-1)
    scores = scorer.singles(item)
    for place, letter in ((0, "K"), (5, "W"), (12, "A")):
        expected = log_p[place, scorer.numbers[letter]] - log_p[place, item.y[place]]
        found = scores[place, scorer.letters.index(letter)]
        assert float(found) == pytest.approx(float(expected), abs=1e-5)
    both = scorer.listed(item, [[Mutation(0, "K"), Mutation(5, "W")]])[0]
    parts = scores[0, scorer.letters.index("K")] + scores[5, scorer.letters.index("W")]
    assert float(both) == pytest.approx(float(parts), abs=1e-5)


@torch.no_grad()
def test_a_masked_score_is_the_ratio_at_the_hidden_places(loaded):
    task, (item, other), scorer = loaded(MASKED)
    scores = scorer.singles(item)

    def log_p(places):
        batch = Batch.from_data_list([item])
        with task.hiding(torch.tensor(places)):
            return task.model(batch)[places].log_softmax(-1)

    for place in (0, 7, 12):
        (row,) = log_p([place])
        own = scorer.numbers[SEQUENCE[place]]
        for letter in "KW":
            expected = float(row[scorer.numbers[letter]] - row[own])
            found = float(scores[place, scorer.letters.index(letter)])
            assert found == pytest.approx(expected, abs=1e-5)
    # What stands at a hidden place is not seen.
    changed = item.clone()
    changed.token[7] = scorer.numbers["W"]
    differences = (scorer.singles(changed)[7] - scores[7]).unique(return_counts=True)[0]
    assert differences.max() - differences.min() < 1e-4
    double = [Mutation(2, "K"), Mutation(9, "W")]
    rows = log_p([2, 9])
    expected = sum(
        float(row[scorer.numbers[mutation.letter]] - row[scorer.numbers[SEQUENCE[mutation.place]]])
        for row, mutation in zip(rows, double, strict=True)
    )
    single = [Mutation(9, "W")]
    found = scorer.listed(item, [single, double, double[::-1]]).tolist()
    assert found[1] == pytest.approx(expected, abs=1e-5)
    assert found[2] == pytest.approx(found[1])
    assert found[0] == pytest.approx(float(scores[9, scorer.letters.index("W")]), abs=1e-5)
    assert scorer.singles(other)[5].isnan().all()
    assert math.isnan(scorer.listed(other, [[Mutation(5, "A")]])[0])


@pytest.mark.parametrize("checkpoint", [CAUSAL, MASKED])
def test_every_single_variant_of_a_sequence(folder, checkpoint):
    name = checkpoint.partition("/")[0]
    done = gia(
        *("score", f"ckpt_path={checkpoint}", f"sequence={SEQUENCE}", f"out={name}.csv"), cwd=folder
    )
    assert f"247 variants in {name}.csv" in done.stdout  # 13 residues, 19 others each
    rows = read_table(folder / f"{name}.csv")
    assert rows[0].keys() == {"name", "position", "wild_type", "mutant", "variant", "score"}
    assert (rows[0]["variant"], rows[-1]["variant"]) == ("G1A", "F13Y")
    assert all(
        row["variant"] == f"{row['wild_type']}{row['position']}{row['mutant']}" for row in rows
    )
    assert all(math.isfinite(float(row["score"])) for row in rows)
    assert (folder / f"{name}.png").stat().st_size > 5000
    assert (folder / f"{name}.svg").exists()


def test_letters_of_both_cases():
    assert read_variant("a2g:K3R", "MaK") == [Mutation(1, "g"), Mutation(2, "R")]


def test_a_fasta_file_where_the_training_had_a_table(folder):
    """All of it is scored, though data=fasta would be split in a training."""
    with open(folder / "table.csv", "w", newline="") as file:
        rows = [[f"MKV{'AG' * (i % 9)}{'LWKC'[i % 4] * (i % 7)}"] for i in range(60)]
        csv.writer(file).writerows([["s"], *rows])
    data = ["data=csv", "data.path=table.csv", "data.sequence_column=s", "data.split=random"]
    gia("train", *data, *FAST, "run_dir=table", cwd=folder)
    path = "ckpt_path=table/checkpoints/best.ckpt"
    gia("score", path, "data=fasta", "data.path=two.fasta", "out=t.csv", cwd=folder)
    assert {row["name"] for row in read_table(folder / "t.csv")} == {"a", "b"}


def test_models_that_tell_no_likelihood_of_a_sequence(folder):
    genome = "".join("MKVLWGA"[i * i % 7] for i in range(4000))
    (folder / "long.fasta").write_text(f">q\n{genome}\n")
    data = ["data=fasta", "data.path=long.fasta", "data.windows=true", "data.max_length=64"]
    gia("train", *data, "data.split=contiguous", *FAST, "run_dir=windows", cwd=folder)
    path = "ckpt_path=windows/checkpoints/best.ckpt"
    done = gia("score", path, f"sequence={SEQUENCE}", "out=w.csv", cwd=folder, check=False)
    assert "this model was trained on windows" in done.stderr


def test_no_input_is_written_over(folder):
    write_table(folder / "few.csv", ["mutant"], [["G1A"]])
    write_table(folder / "mine.csv", ["sequence"], [[SEQUENCE]])
    settings = ["data.path=mine.csv", "data.sequence_column=sequence", "variants=few.csv"]
    for out in ("few.csv", "mine.csv"):
        path = f"ckpt_path={CAUSAL}"
        done = gia("score", path, *settings, f"out={out}", cwd=folder, check=False)
        assert f"out={out} is the table that is read" in done.stderr


def test_several_sequences_of_a_file(folder):
    gia("score", f"ckpt_path={MASKED}", "data.path=two.fasta", "out=all.csv", cwd=folder)
    rows = read_table(folder / "all.csv")
    assert [row["name"] for row in rows].count("b") == 6 * 19  # without X
    assert (folder / "all_0.png").exists()
    assert (folder / "all_1.png").exists()


def test_variants_of_a_table(folder):
    write_table(
        folder / "assay.csv",
        ["mutant", "of", "y"],
        [["G1A", "a", 1], ["M1K:K2R", "b", 2], ["A1G", "a", 3], ["G1A", "c", 4], ["G1B", "a", 5]],
    )
    settings = ["data.path=two.fasta", "variants=assay.csv", "of_column=of", "out=scored.csv"]
    done = gia("score", f"ckpt_path={CAUSAL}", *settings, cwd=folder)
    assert "2 scores in scored.csv" in done.stdout
    rows = read_table(folder / "scored.csv")
    assert [bool(row["score"]) for row in rows] == [True, True, False, False, False]
    assert [row["y"] for row in rows] == list("12345")
    assert [row["problem"] for row in rows[2:]] == [
        "A1G: residue 1 of the sequence is G",
        "there is no sequence 'c'",
        "the model does not know the residue B",
    ]
    gia("score", f"ckpt_path={CAUSAL}", f"sequence={SEQUENCE}", "out=one.csv", cwd=folder)
    all_of_one = {row["variant"]: float(row["score"]) for row in read_table(folder / "one.csv")}
    assert float(rows[0]["score"]) == pytest.approx(all_of_one["G1A"], abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["out=x.csv"], "give the residues, sequence=..., or a file of sequences"),
        ([f"sequence={SEQUENCE}", "data.path=two.fasta", "out=x.csv"], "give the residues"),
        ([f"sequence={SEQUENCE}", "out=x.txt"], "out=x.txt must end in .csv"),
        ([f"sequence={SEQUENCE}"], "out is missing"),
        (["data.path=gone.fasta", "out=x.csv"], "gone.fasta does not exist"),
        (["data.path=two.fasta", "variants=few.csv", "out=x.csv"], "whose variant a row is"),
        (
            [f"sequence={SEQUENCE}", "variants=few.csv", "variant_column=m", "out=x.csv"],
            "has no column 'm' (data.variant_column)",
        ),
    ],
)
def test_what_does_not_fit_is_told(folder, settings, reason):
    write_table(folder / "few.csv", ["mutant"], [["G1A"]])
    done = gia("score", f"ckpt_path={CAUSAL}", *settings, cwd=folder, check=False)
    assert done.returncode == 1
    assert reason in done.stderr
    assert not (folder / "x.csv").exists()


def test_a_model_of_something_else_scores_no_variants(folder):
    with open(folder / "classes.csv", "w", newline="") as file:
        rows = [[f"MKV{'AG' * (i % 7)}{'LW' * (i % 5)}", "yn"[i % 2]] for i in range(35)]
        csv.writer(file).writerows([["s", "y"], *rows])
    data = ["data=labelled_csv", "data.path=classes.csv", "data.sequence_column=s"]
    more = ["data.target_column=y", "task=classification", "data.split=random", "run_dir=classes"]
    gia("train", *data, *more, *FAST, cwd=folder)
    path = "ckpt_path=classes/checkpoints/best.ckpt"
    done = gia("score", path, f"sequence={SEQUENCE}", "out=y.csv", cwd=folder, check=False)
    assert "variants are scored by a language model" in done.stderr
