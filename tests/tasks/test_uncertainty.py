"""What an ensemble's members say together, and how far they differ."""

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data

from gia.nn import Ensemble
from gia.tasks import Classification, Regression
from gia.tasks.losses import Gaussian

BATCH = Batch.from_data_list(
    [Data(x=torch.zeros(1, 1), edge_index=torch.empty(2, 0, dtype=torch.long))] * 2
)


class Says(nn.Module):
    """The same of every graph."""

    def __init__(self, *numbers):
        super().__init__()
        self.register_buffer("numbers", torch.tensor(numbers))

    def forward(self, data):
        return self.numbers.expand(data.num_graphs, -1)


class Drops(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm1d(1), nn.Dropout(p)

    def forward(self, data):
        return self.dropout(self.norm(data.x + 1))


def regression(model, loss=None):
    scale = {"target_mean": [10.0], "target_std": [2.0]}
    return Regression(
        model, target_names=["y"], **scale, loss=loss, optimizer=torch.optim.SGD
    ).eval()


def classification(model):
    return Classification(
        model, target_names=["y"], class_names=["no", "yes"], optimizer=torch.optim.SGD
    ).eval()


def test_a_model_alone_has_no_uncertainty():
    output, std = regression(Says(0.5)).predict_with_uncertainty(BATCH)
    assert output.tolist() == [[11.0], [11.0]]
    assert std is None


def test_identical_members_are_the_member():
    alone = regression(Says(0.3)).predict_step(BATCH)
    output, std = regression(Ensemble([Says(0.3)] * 3)).predict_with_uncertainty(BATCH)
    torch.testing.assert_close(output, alone)
    torch.testing.assert_close(std, torch.zeros(2, 1), atol=1e-6, rtol=0)


def test_numbers_are_averaged_and_their_spread_is_in_physical_units():
    task = regression(Ensemble([Says(0.0), Says(1.0), Says(5.0)]))
    output, std = task.predict_with_uncertainty(BATCH)
    assert output.tolist() == [[14.0], [14.0]]  # 10 + 2 * 2
    expected = 2 * (14 / 3) ** 0.5  # (4 + 1 + 9) / 3 is the variance of 0, 1, 5
    assert std.flatten().tolist() == pytest.approx([expected] * 2)
    torch.testing.assert_close(task.predict_step(BATCH), output)


def test_a_gaussian_adds_the_variances_within_and_between():
    loss = Gaussian()
    raw = [(0.0, 1.0), (4.0, 2.0)]
    own = [loss.activate(torch.tensor([[pair]]))[0, 0, 1].item() for pair in raw]
    task = regression(Ensemble([Says(*pair) for pair in raw]), loss)
    output, std = task.predict_with_uncertainty(BATCH)
    total = 2 * ((own[0] ** 2 + own[1] ** 2) / 2 + 4) ** 0.5
    assert output[0, 0].tolist() == pytest.approx([14.0, total])
    assert std.flatten().tolist() == pytest.approx([total] * 2)
    alone = regression(Says(*raw[0]), loss).predict_with_uncertainty(BATCH)[1]
    assert alone.flatten().tolist() == pytest.approx([2 * own[0]] * 2)


def test_probabilities_are_averaged_not_logits():
    task = classification(Ensemble([Says(0.0, 0.0), Says(0.0, 9.0)]))
    output, std = task.predict_with_uncertainty(BATCH)
    expected = (0.5 + torch.tensor([0.0, 9.0]).softmax(0)[1].item()) / 2
    assert output[0, 0, 1].item() == pytest.approx(expected)
    assert std is None


def test_samples_with_dropout_spread_and_leave_the_model_as_it_was():
    model = Drops(0.5)
    task = regression(model)
    task.use_dropout(2000)
    before = model.norm.running_mean.clone()
    torch.manual_seed(0)
    output, std = task.predict_with_uncertainty(BATCH)
    # Each sample is 0 or 2: its mean is 1, and so is its deviation; times 2, from 10.
    assert output.flatten().tolist() == pytest.approx([12.0] * 2, abs=0.15)
    assert std.flatten().tolist() == pytest.approx([2.0] * 2, abs=0.05)
    assert not model.dropout.training
    assert torch.equal(model.norm.running_mean, before)


@pytest.mark.parametrize(
    ("model", "samples", "said"),
    [
        (Drops(0.0), 20, "this has none"),
        (Drops(0.5), 1, "at least 2, got 1"),
        (Drops(0.5), 2.5, "whole number of at least 2, got 2.5"),
        (Drops(0.5), "x", "whole number of at least 2, got 'x'"),
        (Ensemble([Drops(0.5)]), 20, "this is an ensemble"),
    ],
)
def test_what_has_no_samples_says_so(model, samples, said):
    with pytest.raises(ValueError, match=said):
        regression(model).use_dropout(samples)
