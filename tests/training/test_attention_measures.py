"""Measures of attention over a training: the table, the picture, the logger, a resumed run."""

import csv
from types import SimpleNamespace

import pytest
import torch
from runs import EVERY_CHECKPOINT, SMALL, compose_config, peptides_fasta, small_run, write_table
from torch_geometric.data import Data

from gia.analysis import inspect_attention
from gia.training import AttentionMeasures, load_trained, run_of
from gia.training.attention_measures import few_items, layer_measures

MEASURES = "callbacks=measures"


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    return peptides_fasta(tmp_path_factory.mktemp("peptides"))


def table(folder):
    with (folder / "measures.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_step_and_layer(fasta, tmp_path):
    run = run_of(small_run(tmp_path / "run", fasta, MEASURES, "trainer.max_epochs=2"))
    run.fit()
    rows = table(tmp_path / "run")
    steps = list(dict.fromkeys(int(row["step"]) for row in rows))
    assert steps[0] == 0  # where it starts from
    assert len(steps) == 3
    assert [(int(row["step"]), row["layer"]) for row in rows] == [
        (step, layer) for step in steps for layer in "12"
    ]
    assert {"entropy", "self_loops", "sharpening", "eps"} <= rows[0].keys()
    assert float(rows[0]["density"]) == pytest.approx(0.5)
    assert "agreement" not in rows[0]  # neighbours in a sequence are no structure
    assert (tmp_path / "run/measures.png").stat().st_size > 1000
    # The last row is of the weights that were trained last, over the first validation items.
    model, items = run.task.model, few_items(run.datamodule.val_data, 2)
    own = [
        inspect_attention(item, model.graphs(item), [""] * item.num_nodes).measures
        for item in items
    ]
    entropy = sum(of[2, head].entropy for of in own for head in (1, 2)) / 4
    state = load_trained(tmp_path / "run/checkpoints/last.ckpt")[0].model
    sharpening = state.blocks[1].attention.adjacency.normalize.sharpening
    assert layer_measures(model, items, "cpu")[2]["entropy"] == pytest.approx(entropy)
    assert float(rows[-1]["sharpening"]) == pytest.approx(float(sharpening.detach()), abs=1e-2)


def test_the_logger_has_them(fasta, tmp_path):
    run_of(small_run(tmp_path / "run", fasta, MEASURES, "trainer.max_epochs=1")).fit()
    text = (tmp_path / "run/metrics.csv").read_text()
    assert "measures/layer_2/entropy" in text.splitlines()[0]


def test_training_is_what_it_is_without(fasta, tmp_path):
    losses = []
    for name, settings in (("with", [MEASURES]), ("without", [])):
        run = run_of(small_run(tmp_path / name, fasta, *settings, "trainer.max_epochs=2"))
        run.fit()
        losses.append([row["val/loss"] for row in run.history.epochs])
    assert losses[0] == losses[1]


def test_a_resumed_run_is_whole(fasta, tmp_path):
    settings = [*EVERY_CHECKPOINT, MEASURES, "trainer.max_epochs=2"]
    run_of(small_run(tmp_path / "one", fasta, *settings)).fit()
    checkpoint = f"ckpt_path={tmp_path}/one/checkpoints/epoch0.ckpt"
    run_of(small_run(tmp_path / "two", fasta, MEASURES, "trainer.max_epochs=2", checkpoint)).fit()
    assert table(tmp_path / "two") == table(tmp_path / "one")


def test_of_molecules(tmp_path):
    pytest.importorskip("rdkit")
    smiles = ["CCO", "c1ccccc1O", "CC(=O)O", "CCN", "C1CCCCC1", "CC(C)C", "COC", "CC#N"] * 4
    rows = [[text + "C" * (i // 8), i] for i, text in enumerate(smiles)]
    write_table(tmp_path / "molecules.csv", ["smiles", "y"], rows)
    config = compose_config(
        "data=molecules", f"data.path={tmp_path}/molecules.csv", "data.smiles_column=smiles",
        "data.target_column=y", "data.features=null", "blend=none", "trainer.max_epochs=1",
        *SMALL, f"run_dir={tmp_path}/run", MEASURES,
    )  # fmt: skip
    run_of(config).fit()
    row = table(tmp_path / "run")[-1]
    assert 0 <= float(row["agreement"]) <= 1  # with bonds


def test_of_long_sequences_with_edges(tmp_path):
    """The beginnings of labelled sequences, whose neighbours are joined."""
    rows = [["ACDEFGHIKLMNPQRSTVWY" * 8 + "A" * (i % 9), i] for i in range(30)]
    write_table(tmp_path / "long.csv", ["sequence", "y"], rows)
    config = compose_config(
        "data=labelled_csv", f"data.path={tmp_path}/long.csv", "data.sequence_column=sequence",
        "data.target_column=y", "data.split=random", "data.features=null", "blend=none",
        "trainer.max_epochs=1", *SMALL, f"run_dir={tmp_path}/run", MEASURES,
    )  # fmt: skip
    run_of(config).fit()
    assert float(table(tmp_path / "run")[-1]["density"]) > 0


def test_of_an_adapter(tmp_path):
    """In the places of its layers, with what they have learned."""
    from bases import base_and_sums

    base_and_sums(tmp_path)
    config = compose_config(
        "data=instruct", f"data.path={tmp_path}/sums.jsonl", "data.prompt_field=question",
        "data.answer_field=answer", "model=pretrained", f"model.base={tmp_path}/base",
        "adapter=graph_lora", "+adapter.layers=[1]", "trainer.max_epochs=1",
        "callbacks.progress_bar=null", "logger.tensorboard=null", "data.max_length=64",
        "name=test", f"run_dir={tmp_path}/run", MEASURES,
    )  # fmt: skip
    run_of(config).fit()
    rows = table(tmp_path / "run")
    assert {row["layer"] for row in rows} == {"2"}
    assert float(rows[0]["g"]) == 0  # where it starts from


def test_a_run_that_goes_on_with_it(fasta, tmp_path):
    """Its first row is of the step that it goes on from."""
    run_of(small_run(tmp_path / "one", fasta, "trainer.max_epochs=1")).fit()
    checkpoint = f"ckpt_path={tmp_path}/one/checkpoints/last.ckpt"
    run_of(small_run(tmp_path / "two", fasta, MEASURES, "trainer.max_epochs=2", checkpoint)).fit()
    steps = [int(row["step"]) for row in table(tmp_path / "two")]
    assert len(set(steps)) == 2
    assert 0 < steps[0] == steps[-1] // 2


def test_without_a_validation(fasta, tmp_path):
    settings = [MEASURES, "trainer.max_epochs=1", "trainer.limit_val_batches=0"]
    run_of(small_run(tmp_path / "run", fasta, *settings)).fit()
    assert len({row["step"] for row in table(tmp_path / "run")}) == 2
    assert (tmp_path / "run/measures.png").exists()


def test_items_that_are_looked_at():
    def sequence(nodes):
        chain = torch.stack([torch.arange(nodes - 1), torch.arange(1, nodes)])
        return Data(token=torch.zeros(nodes), edge_index=chain, num_nodes=nodes)

    few = few_items([sequence(500), sequence(9), sequence(128), sequence(7)], 2)
    assert [item.num_nodes for item in few] == [9, 128]
    (cut,) = few_items([sequence(500), sequence(400)], 1)
    assert cut.num_nodes == len(cut.token) == 128
    assert cut.edge_index.size(1) == 127
    assert few_items([], 2) == []


def test_what_cannot_be(fasta, tmp_path):
    for number in (0, 1.5, True):
        with pytest.raises(ValueError, match="must be a whole number of at least 1, got"):
            AttentionMeasures(number)
    config = small_run(tmp_path / "run", fasta, MEASURES, "model=cnn", "task=masked")
    with pytest.raises(ValueError, match=r"callbacks=measures: a .+ draws no graphs"):
        run_of(config).fit()


@pytest.mark.parametrize("first", [True, False])
def test_all_processes_refuse_and_one_measures(first):
    item = Data(token=torch.zeros(3, dtype=torch.long), num_nodes=3)
    trainer = SimpleNamespace(datamodule=SimpleNamespace(val_data=[item]), is_global_zero=first)
    measures, without = AttentionMeasures(), SimpleNamespace(model=SimpleNamespace(), device="cpu")
    drawing = SimpleNamespace(model=SimpleNamespace(graphs=lambda item: [item]), device="cpu")
    measures.on_fit_start(trainer, drawing)
    assert bool(measures._items) == first
    with pytest.raises(ValueError, match="draws no graphs"):
        AttentionMeasures().on_fit_start(trainer, without)
