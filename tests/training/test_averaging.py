"""Averaged weights: what is validated, kept and resumed."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from gia.training import AverageWeights


class Counted(nn.Module):
    """A weight, and whole numbers that a mean in floating point rounds down."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("offset", torch.arange(400), persistent=False)
        self.register_buffer("statistic", torch.zeros(2))


def test_the_average_is_the_sum_of_all_steps_by_their_weights():
    torch.manual_seed(0)
    model, callback = Counted(), AverageWeights(decay=0.9)
    averaged = AveragedModel(model, use_buffers=True, **callback._kwargs)
    expected = None
    for step in range(200):
        with torch.no_grad():
            model.weight.normal_()
            model.statistic.normal_()
        averaged.update_parameters(model)
        now = torch.cat([model.weight.detach(), model.statistic])
        decay = min(0.9, (1 + step) / (10 + step))
        expected = now.clone() if step == 0 else decay * expected + (1 - decay) * now
    found = torch.cat([averaged.module.weight.detach(), averaged.module.statistic])
    torch.testing.assert_close(found, expected)
    assert torch.equal(averaged.module.offset, torch.arange(400))


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_is_none_is_named(decay):
    with pytest.raises(ValueError, match=f"at least 0 and below 1, got {decay}"):
        AverageWeights(decay)
