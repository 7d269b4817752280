import pytest
import torch

from gia.nn import WeightedSumConv


@pytest.mark.usefixtures("float64")
def test_it_is_a_weighted_sum_for_each_head():
    edges, weight, x = torch.randint(0, 6, (2, 15)), torch.rand(15, 2), torch.randn(6, 8)
    out = WeightedSumConv(heads=2)(x, edges, edge_weight=weight)
    for head in range(2):
        matrix = torch.zeros(6, 6)
        matrix.index_put_((edges[1], edges[0]), weight[:, head], accumulate=True)
        torch.testing.assert_close(out[:, 4 * head : 4 * head + 4], matrix @ x.split(4, 1)[head])


@pytest.mark.usefixtures("float64")
def test_law_7_every_edge_counts():
    edges, x = torch.randint(0, 6, (2, 15)), torch.randn(6, 8)
    weight = torch.rand(15, 2, requires_grad=True)
    out = WeightedSumConv(heads=2)(x, edges, edge_weight=weight)
    for edge in range(15):
        (gradient,) = torch.autograd.grad(out[edges[1, edge]].sum(), weight, retain_graph=True)
        assert (gradient[edge] != 0).all()
