import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data

from gia.tasks import LanguageMetrics, LanguageModeling


def test_every_symbol_counts_the_same():
    metrics = LanguageMetrics(5)
    batches = [(torch.randn(n, 5), Data(y=torch.randint(5, (n,)))) for n in (3, 11)]
    for logits, data in batches:
        metrics.update(logits, data)
    results = metrics.compute()
    logits = torch.cat([logits for logits, _ in batches])
    y = torch.cat([data.y for _, data in batches])
    loss = cross_entropy(logits, y).item()
    assert results["loss"].item() == pytest.approx(loss, rel=1e-5)
    assert results["perplexity"].item() == pytest.approx(math.exp(loss), rel=1e-5)
    assert results["bits"].item() == pytest.approx(loss / math.log(2), rel=1e-5)
    assert "class_accuracy" not in results


def test_class_accuracy_looks_at_class_tokens_alone():
    metrics = LanguageMetrics(5)
    logits = torch.eye(5)[[0, 3, 4, 1]]
    y = torch.tensor([1, 3, 2, 1])
    metrics.update(logits, Data(y=y, label_mask=torch.tensor([False, True, True, False])))
    assert metrics.compute()["class_accuracy"].item() == 0.5


def test_computing_starts_again():
    metrics = LanguageMetrics(5)
    metrics.update(torch.randn(3, 5), Data(y=torch.zeros(3, dtype=torch.long)))
    first = metrics.compute()["loss"]
    metrics.update(torch.full((2, 5), 7.0), Data(y=torch.ones(2, dtype=torch.long)))
    assert metrics.compute()["loss"].item() == pytest.approx(math.log(5))
    assert first.item() != pytest.approx(math.log(5))


def test_a_model_in_half_precision_is_measured_in_float32():
    logits, y = torch.randn(500, 11), torch.randint(11, (500,))
    data = Data(y=y, num_nodes=500)
    metrics = nn.ModuleList([LanguageMetrics(11)]).to(torch.bfloat16)[0]
    for _ in range(20):
        metrics.update(logits, data)
    expected = torch.nn.functional.cross_entropy(logits, y)
    torch.testing.assert_close(metrics.compute()["loss"], expected)


def test_what_is_not_to_be_learned_is_not_scored():
    logits = torch.randn(4, 5)
    y = torch.tensor([1, -100, 3, -100])
    metrics = LanguageMetrics(5)
    metrics.update(logits, Data(y=y))
    expected = cross_entropy(logits[::2], y[::2]).item()
    assert metrics.compute()["loss"].item() == pytest.approx(expected, rel=1e-5)
    metrics.update(logits[1::2], Data(y=y[1::2]))
    assert not metrics.update_called


def test_the_loss_is_of_what_is_to_be_learned_alone():
    """Whatever stands where nothing is."""
    logits = torch.randn(4, 5, requires_grad=True)

    class Fixed(nn.Module):
        def forward(self, batch):
            return logits

    task = LanguageModeling(Fixed(), vocab_size=5, optimizer=torch.optim.SGD)
    data = Data(y=torch.tensor([1, -100, 3, -100]), num_nodes=4)
    loss, weight = task.loss(data)
    assert weight == 2
    assert loss.item() == pytest.approx(cross_entropy(logits[::2], data.y[::2]).item())
    loss.backward()
    assert (logits.grad[1::2] == 0).all()
    assert (logits.grad[::2] != 0).all()


class Without(nn.Module):
    """A model that says what is lost, and makes no logits."""

    def losses(self, data, y):
        return torch.arange(4.0)[y != -100]


def test_losses_without_logits_are_measured():
    metrics = LanguageMetrics(5)
    metrics.measure(Without(), Data(y=torch.tensor([-100, -100, -100, -100])))
    assert not metrics.update_called  # nothing of it is scored
    metrics.measure(Without(), Data(y=torch.tensor([1, -100, 3, -100])))
    metrics.measure(Without(), Data(y=torch.tensor([-100, -100, -100, 0])))
    assert metrics.compute()["loss"].item() == pytest.approx((0 + 2 + 3) / 3)
