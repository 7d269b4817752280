"""Nothing in a step asks the device for a number: on a GPU that would be waiting."""

import pytest
import torch
from laws import ATTENTIONS, make_model, sequences
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from gia.data import SequenceLoader, TokenBatchSampler


def step(model, batch):
    # Fake tensors have shapes and no values: whoever asks for one is told off.
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = batch.apply(lambda t: mode.from_tensor(t) if isinstance(t, torch.Tensor) else t)
        torch.nn.functional.cross_entropy(model(fake), fake.y).backward()


def batches():
    graphs = sequences([7, 5, 300, 6])
    return SequenceLoader(graphs, TokenBatchSampler([g.num_nodes for g in graphs], 1000))


@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_step_does_not_wait(name):
    for batch in batches():
        step(make_model(name), batch)


def test_the_test_can_fail():
    (batch, *_) = batches()
    del batch.num_nodes_per_graph
    with pytest.raises(DataDependentOutputException):
        step(make_model("gin"), batch)
