"""Stopping and continuing in the middle of an epoch."""

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from gia.data import (
    DataModule,
    Record,
    Records,
    ResidueTokenizer,
    SequenceLoader,
    TokenBatchSampler,
    to_data,
)

RECORDS = [Record(f"s{i}", "M" * (1 + i % 7)) for i in range(23)]
GRAPHS = [to_data(record, ResidueTokenizer(), max_length=10) for record in RECORDS]


def loader(**kwargs):
    sampler = TokenBatchSampler([g.num_nodes for g in GRAPHS], 24, shuffle=True, seed=1)
    return SequenceLoader(GRAPHS, sampler, **kwargs)


def names(batches):
    return [tuple(batch.name) for batch in batches]


def epoch_of(loader, epoch):
    loader.batch_sampler.sampler.set_epoch(epoch)
    return names(loader)


def test_batches_are_ragged_pyg_batches():
    for batch in loader():
        assert batch.num_graphs == len(batch.name) == len(batch.ptr) - 1
        assert batch.token.shape == batch.y.shape == batch.seq_pos.shape == (batch.num_nodes,)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_resumes_with_exactly_the_rest(num_workers):
    whole = epoch_of(loader(), 2)
    # Workers take a while to start, so with them two positions have to do.
    for position in range(len(whole)) if num_workers == 0 else (0, len(whole) - 2):
        first = loader(num_workers=num_workers)
        first.batch_sampler.set_epoch(2)
        iterator = iter(first)
        seen = names(next(iterator) for _ in range(position + 1))
        state = first.state_dict()
        assert state == {"epoch": 2, "batches": position + 1}
        assert {type(value) for value in state.values()} == {int}
        second = loader(num_workers=num_workers)
        second.load_state_dict(state)
        if position + 1 < len(whole):
            assert second.state_dict() == state
            assert len(second) == len(whole)
            assert seen + names(second) == whole
        assert epoch_of(second, 3) == epoch_of(loader(), 3)


def test_after_the_last_batch_comes_the_next_epoch():
    first = loader()
    epoch_of(first, 2)
    second = loader()
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == {"epoch": 3, "batches": 0}
    assert names(second) == epoch_of(loader(), 3)


def test_a_position_does_not_carry_over_to_another_epoch():
    resumed = loader()
    resumed.load_state_dict({"epoch": 2, "batches": 1})
    assert epoch_of(resumed, 3) == epoch_of(loader(), 3)


def test_a_second_pass_through_an_epoch_is_whole():
    resumed = loader()
    resumed.load_state_dict({"epoch": 0, "batches": 1})
    assert len(names(resumed)) == len(resumed) - 1
    assert len(names(resumed)) == len(resumed)


class Recorder(LightningModule):
    """Writes down what it is trained on."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append((self.current_epoch, *batch.name))
        return self.weight * batch.num_nodes

    def validation_step(self, batch, batch_idx, dataloader_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data(num_workers=0):
    return DataModule(
        Records(RECORDS),
        target_type="next_token",
        split="contiguous",
        tokens_per_batch=24,
        num_workers=num_workers,
    )


def fit(folder, ckpt_path=None, num_workers=0, **limits):
    saved = ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1)
    trainer = Trainer(
        callbacks=[saved],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        **limits,
    )
    model = Recorder()
    trainer.fit(model, data(num_workers), ckpt_path=ckpt_path)
    return model.seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "limits",
    [
        {"max_epochs": 3},
        {"max_epochs": -1, "max_steps": 9},
        {"max_epochs": 3, "limit_train_batches": 3},
    ],
    ids=str,
)
def test_lightning_resumes_from_every_step(tmp_path, limits):
    whole = fit(tmp_path / "whole", **limits)
    length = limits.get("limit_train_batches", len(data().train_dataloader()))
    assert [epoch for epoch, *_ in whole] == [i // length for i in range(len(whole))]
    for step in range(1, len(whole)):
        path = tmp_path / "whole" / f"step={step}.ckpt"
        torch.load(path, weights_only=True)
        rest = fit(tmp_path / f"from_{step}", ckpt_path=path, **limits)
        assert rest == whole[step:], f"resumed at step {step} of {length} an epoch"


@pytest.mark.filterwarnings("ignore")
def test_lightning_resumes_with_workers(tmp_path):
    whole = fit(tmp_path / "whole", max_epochs=2)
    length = len(data().train_dataloader())
    for step in (length - 1, length, length + 1):
        path = tmp_path / "whole" / f"step={step}.ckpt"
        rest = fit(tmp_path / f"from_{step}", path, num_workers=1, max_epochs=2)
        assert rest == whole[step:]
