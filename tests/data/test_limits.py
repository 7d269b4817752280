"""Batches under Lightning's limits: which items a model is shown in each epoch."""

import csv

import pytest
import pytorch_lightning as pl
import torch

from gia.data import DataModule, Fasta, Molecules, Sequences, Text
from gia.data.datasets import Peptides

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


class Recorder(pl.LightningModule):
    """Learns nothing, and remembers the names of the items in each batch of each epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.shown: dict[str, list[list[list[str]]]] = {"train": [], "val": [], "test": []}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_train_epoch_start(self):
        self.shown["train"].append([])

    def on_validation_epoch_start(self):
        self.shown["val"].append([])

    def on_test_epoch_start(self):
        self.shown["test"].append([])

    def training_step(self, batch):
        self.shown["train"][-1].append(list(batch.name))
        return self.weight * 0

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        if dataloader_idx == 0:
            self.shown["val"][-1].append(list(batch.name))

    def test_step(self, batch):
        self.shown["test"][-1].append(list(batch.name))


def sequences(number=60):
    draw = torch.Generator().manual_seed(0)
    return [
        "".join(LETTERS[i] for i in torch.randint(20, (8 + n % 9,), generator=draw).tolist())
        for n in range(number)
    ]


def molecules(folder):
    rows = [["C" * n + "O", n] for n in range(1, 61)]
    with (folder / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["smiles", "y"], *rows])
    return DataModule(Molecules(folder / "m.csv", "smiles", "y"), batch_size=3)


def fasta(folder):
    (folder / "s.fasta").write_text("".join(f">r{n}\n{s}\n" for n, s in enumerate(sequences())))
    data = Fasta(folder / "s.fasta")
    return DataModule(data, target_type="next_token", split="random", tokens_per_batch=64)


def table(folder):
    rows = [[f"r{n}", s, len(s)] for n, s in enumerate(sequences())]
    with (folder / "s.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["name", "sequence", "y"], *rows])
    data = Sequences(folder / "s.csv", "sequence", target_column="y", name_column="name")
    return DataModule(data, batch_size=3, split="random")


def text(folder):
    (folder / "t.txt").write_text("".join(sequences(80)))
    data = Text(folder / "t.txt", max_length=16)
    return DataModule(data, target_type="next_token", split="contiguous", batch_size=4)


def peptides(folder):
    return DataModule(Peptides(), target_type="next_token", split="random", tokens_per_batch=4096)


KINDS = {"molecules": molecules, "FASTA": fasta, "a table": table, "text": text}
KINDS["peptides"] = peptides


def trained(data, epochs=3, **options):
    model = Recorder()
    trainer = pl.Trainer(
        max_epochs=epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, accelerator="cpu", **options,
    )  # fmt: skip
    trainer.fit(model, data)
    trainer.test(model, data, verbose=False)
    return model.shown, trainer


@pytest.mark.parametrize("kind", KINDS)
def test_overfitting_shows_one_batch_again_and_again(kind, tmp_path):
    shown, _ = trained(KINDS[kind](tmp_path), overfit_batches=1)
    first, second, third = shown["train"]
    assert first == second == third
    assert len(first) == 1
    assert len(first[0]) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_overfitting_a_share_shows_the_same_batches(kind, tmp_path):
    data = KINDS[kind](tmp_path)
    shown, trainer = trained(data, epochs=2, overfit_batches=0.5)
    first, second = shown["train"]
    assert first == second
    assert len(first) == len(data.train_dataloader()) // 2 == trainer.num_training_batches > 1
    assert len({name for batch in first for name in batch}) == sum(map(len, first))


@pytest.mark.parametrize("kind", KINDS)
def test_without_limits_every_item_is_shown_once_in_another_order(kind, tmp_path):
    data = KINDS[kind](tmp_path)
    shown, _ = trained(data, epochs=2)
    first, second = shown["train"]
    assert first != second
    for part, epochs in shown.items():
        names = sorted(item.name for item in data.part(part))
        for epoch in epochs:
            assert sorted(name for batch in epoch for name in batch) == names


@pytest.mark.parametrize("limit", [2, 0.5, 0])
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_limit_is_a_number_of_batches_or_a_share(part, limit, tmp_path):
    data = molecules(tmp_path)
    data.setup()
    data.batcher.batch_size = 2
    shown, _ = trained(data, epochs=2, **{f"limit_{part}_batches": limit})
    whole = len(data.train_dataloader() if part == "train" else data.loader(part))
    wanted = limit if isinstance(limit, int) else int(whole * limit)
    epochs = [epoch for epoch in shown[part] if epoch]
    assert [len(epoch) for epoch in epochs] == ([wanted] * len(epochs) if wanted else [])
    assert bool(epochs) == bool(wanted)
    if part == "train" and wanted:
        assert epochs[0] != epochs[1]  # another half in the next epoch


def test_lightning_may_predict_with_any_of_its_loaders(tmp_path):
    data = molecules(tmp_path)

    class Names(Recorder):
        def predict_step(self, batch):
            return list(batch.name)

    trainer = pl.Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False)
    batches = trainer.predict(Names(), data.loader("test"))
    names = [name for batch in batches for name in batch]
    assert names == [item.name for item in data.test_data]
