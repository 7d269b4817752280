"""Adapters that start out of the data that they are trained on."""

from types import SimpleNamespace

import pytest
import torch
from bases import base_and_sums, of_sums
from runs import compose_config

from gia import adapters
from gia.training import InitializeAdapter, Run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return base_and_sums(tmp_path_factory.mktemp("initialize"))


def run_of(place, name, *more):
    settings = [
        *of_sums(place), "trainer.accelerator=cpu", "logger.csv=null", "callbacks.samples=null",
        "callbacks.learned=null", f"run_dir={place / name}", "adapter=sparse_gin",
        "+adapter.channels=8", "trainer.max_epochs=1",
        "trainer.limit_train_batches=1", "trainer.limit_val_batches=1", *more,
    ]  # fmt: skip
    return Run.from_config(compose_config(*settings))


def read_by(run):
    """What reads the inputs of each layer, ``[C, D]``."""
    weights = run.task.model.state_dict().items()
    return [value.clone() for name, value in weights if name.endswith("in_proj.weight")]


def uncorrelated(weight):
    """Whether rows are at right angles and of one length."""
    gram = weight @ weight.T
    return torch.allclose(gram, gram[0, 0] * torch.eye(len(gram)), atol=1e-4 * float(gram[0, 0]))


def test_a_new_adapter_reads_the_directions_of_its_inputs(place):
    still = "optimizer.lr=1e-12"  # so that the first step hides nothing
    for name, more, found in (("new", [], True), ("random", ["callbacks.initialize=null"], False)):
        run = run_of(place, name, still, *more)
        before = read_by(run)
        assert not any(map(uncorrelated, before))
        run.trainer.fit(run.task, run.datamodule)
        assert [uncorrelated(weight) for weight in read_by(run)] == [found] * len(before)


def test_it_is_what_initialize_makes_of_texts_of_the_training_part(place):
    run = run_of(place, "same")
    model, texts = run.task.model.lm, run.datamodule.train_data
    apart = max(1, len(texts) // 3)
    batches = [{"input_ids": texts[i].token.unsqueeze(0)} for i in (0, apart, 2 * apart)]
    InitializeAdapter(3).on_train_start(_trainer(run), run.task)
    found = read_by(run)
    adapters.initialize(model, batches)
    for ours, expected in zip(found, read_by(run), strict=True):
        # Directions have no sign.
        torch.testing.assert_close(ours.abs(), expected.abs(), atol=1e-3, rtol=1e-2)


def test_what_is_trained_already_is_left_as_it_is(place):
    for resumed, trained in ((False, True), (True, False)):
        run = run_of(place, f"left_{resumed}")
        if trained:
            torch.nn.init.normal_(
                next(p for n, p in run.task.named_parameters() if n.endswith("out_proj.weight"))
            )
        before = read_by(run)
        InitializeAdapter(3).on_train_start(_trainer(run, step=int(resumed)), run.task)
        assert all(map(torch.equal, before, read_by(run)))


def test_numbers_that_cannot_be_are_named(place):
    with pytest.raises(ValueError, match=r"initialize\.number must be at least 1, got 0"):
        InitializeAdapter(0)
    run = run_of(place, "few")
    short = SimpleNamespace(token=run.datamodule.train_data[0].token[:2])
    trainer = SimpleNamespace(global_step=0, datamodule=SimpleNamespace(train_data=[short]))
    with pytest.raises(ValueError, match=r"shown 2 tokens: .*; callbacks\.initialize=null"):
        InitializeAdapter(1).on_train_start(trainer, run.task)


def _trainer(run, step=0):
    return SimpleNamespace(global_step=step, datamodule=run.datamodule)
