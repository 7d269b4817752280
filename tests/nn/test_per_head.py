import pytest
import torch
from torch import nn

from gia.nn import PerHeadLinear, PerHeadMLP


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("bias", "norm"), [(True, True), (False, False)])
def test_heads_are_mlps_side_by_side(bias, norm):
    heads = PerHeadMLP(3, 4, 6, 5, bias=bias, norm=norm)
    x = torch.randn(7, 3, 4)
    out = heads(x)
    for head in range(3):
        first, last = nn.Linear(4, 6, bias=bias), nn.Linear(6, 5, bias=bias)
        middle = nn.RMSNorm(6, eps=1e-5) if norm else nn.Identity()
        first.weight.data, last.weight.data = heads.net[0].weight[head], heads.net[4].weight[head]
        if bias:
            first.bias.data, last.bias.data = heads.net[0].bias[head, 0], heads.net[4].bias[head, 0]
        if norm:
            heads.net[2].weight.data.uniform_(0.5, 2)
            middle.weight.data = heads.net[2].weight[head, 0]
            out = heads(x)
        alone = last(nn.functional.silu(middle(first(x[:, head]))))
        torch.testing.assert_close(out[:, head], alone)


def test_flat_and_split_features_are_the_same():
    heads = PerHeadMLP(2, 4, 6, 4)
    x = torch.randn(5, 8)
    torch.testing.assert_close(heads(x), heads(x.view(5, 2, 4)).flatten(1))


def test_heads_start_as_linear_layers_do():
    weight = PerHeadLinear(64, 16, 32).weight
    assert weight.abs().max() <= 1 / 4
    assert weight.std().item() == pytest.approx(nn.Linear(16, 2048).weight.std().item(), rel=0.05)


def test_dropout_acts_on_the_hidden_channels_only_in_training():
    heads = PerHeadMLP(2, 4, 32, 4, dropout=0.5)
    x = torch.randn(5, 8)
    assert not torch.equal(heads(x), heads(x))
    heads.eval()
    assert torch.equal(heads(x), heads(x))


def test_no_hidden_channel_is_refused():
    with pytest.raises(ValueError, match="at least 1 hidden channel, got 0"):
        PerHeadMLP(2, 4, 0, 4)


@pytest.mark.usefixtures("float64")
def test_parts_are_as_if_concatenated_and_recurring_ones_multiplied_once(monkeypatch):
    heads = PerHeadMLP(2, 12, 6, 4)
    x, y = torch.randn(5, 2, 4, requires_grad=True), torch.randn(5, 2, 4, requires_grad=True)
    whole = heads(torch.cat([x, y, x], dim=-1))
    expected = torch.autograd.grad(whole.square().sum(), [x, y, *heads.parameters()])
    products = []
    original = torch.baddbmm
    monkeypatch.setattr(torch, "baddbmm", lambda *a: products.append(1) or original(*a))
    parts = heads([x, y, x])
    assert len(products) == 3  # x, y and the second layer
    torch.testing.assert_close(parts, whole)
    found = torch.autograd.grad(parts.square().sum(), [x, y, *heads.parameters()])
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right)
