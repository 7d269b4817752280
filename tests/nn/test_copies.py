"""Copies begin anew, each as its outermost part wants it to begin."""

import pytest
import torch
from laws import make_adjacency
from torch import nn
from torch_geometric.nn import GPSConv

from gia.nn import GraphAttention, WeightedSumConv
from gia.nn.copies import begin_anew, copies


class ZeroStart(nn.Module):
    """A branch that begins as nothing: its parent sets the last weight to zero."""

    def __init__(self, width=4):
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.last = nn.Linear(width, width)
        self.reset_parameters()

    def reset_parameters(self):
        self.inner.reset_parameters()
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x, graph=None):
        return self.last(self.inner(x).relu())


@pytest.mark.parametrize("wrap", [nn.Identity, nn.Sequential])
def test_a_parents_zero_start_is_kept(wrap):
    part = ZeroStart()
    first, second = copies(part if wrap is nn.Identity else wrap(nn.ReLU(), part), 2)
    for copied in (first, second):
        (part,) = (module for module in copied.modules() if isinstance(module, ZeroStart))
        assert not part.last.weight.any()
        assert not part.last.bias.any()
    one, other = ([*copied.modules()][-2].weight for copied in (first, second))
    assert not torch.equal(one, other)  # the inner one is new


def test_a_zero_start_inside_an_attention_is_kept():
    conv, out = WeightedSumConv(2), ZeroStart(16)
    attention = GraphAttention(adjacency=make_adjacency(16, 2), conv=conv, out=out)
    (copied,) = copies(attention, 1)
    assert not copied.out.last.weight.any()
    nn.init.ones_(copied.out.last.weight)
    copied.reset_parameters()
    assert not copied.out.last.weight.any()


def test_what_is_no_layer_of_its_own_begins_anew_too():
    conv = GPSConv(8, None, heads=2)
    first, second = copies(conv, 2)
    assert not torch.equal(first.attn.in_proj_weight, second.attn.in_proj_weight)
    before = first.attn.out_proj.weight.clone()
    begin_anew(first)
    assert not torch.equal(first.attn.out_proj.weight, before)
    assert not first.attn.out_proj.bias.any()


def test_several_blocks_are_repeated_in_their_order_and_numbered():
    class Numbered(nn.Linear):
        layer = 1

    found = copies([Numbered(2, 2), nn.Linear(3, 3)], 2)
    assert [block.in_features for block in found] == [2, 3, 2, 3]
    assert [block.layer for block in found if isinstance(block, Numbered)] == [1, 3]
    assert not torch.equal(found[1].weight, found[3].weight)


def test_nothing_to_copy_is_refused():
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        copies(nn.Linear(2, 2), 0)
    with pytest.raises(ValueError, match="a stack needs at least one block"):
        copies([], 1)
