import pytest
import torch
from torch_geometric.nn.aggr import MultiAggregation, SumAggregation

from gia.nn import ScaledSumAggregation


def test_the_sum_over_a_constant_tells_how_large_a_graph_is():
    x, index = torch.randn(5, 3), torch.tensor([0, 0, 0, 2, 2])
    found = ScaledSumAggregation(4.0)(x, index, dim_size=3)
    torch.testing.assert_close(found, SumAggregation()(x, index, dim_size=3) / 4)
    assert torch.equal(found[1], torch.zeros(3))  # a graph without nodes
    torch.testing.assert_close(ScaledSumAggregation(4.0)(x, ptr=torch.tensor([0, 3, 3, 5])), found)


def test_it_stands_beside_others_in_pygs_aggregation_of_several():
    x, index = torch.randn(5, 3), torch.tensor([0, 0, 0, 1, 1])
    pool = MultiAggregation([ScaledSumAggregation(2.0), "mean"])
    sizes = torch.tensor([[3.0], [2.0]])
    scaled, mean = pool(x, index).chunk(2, dim=1)
    torch.testing.assert_close(scaled, mean * sizes / 2)


def test_a_constant_that_is_not_positive_is_named():
    with pytest.raises(ValueError, match="must be positive, got 0"):
        ScaledSumAggregation(0)
