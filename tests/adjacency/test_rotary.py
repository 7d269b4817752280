import pytest
import torch

from gia.adjacency import Rotary, rotate


@pytest.mark.usefixtures("float64")
def test_scores_depend_on_the_distance_alone():
    q, k = torch.randn(1, 1, 8), torch.randn(1, 1, 8)
    rotary = Rotary(8)

    def score(i, j):
        left, right = (rotate(x, rotary(torch.tensor([p]))) for x, p in ((q, i), (k, j)))
        return (left * right).sum()

    torch.testing.assert_close(score(7, 3), score(1007, 1003))
    assert not torch.isclose(score(7, 3), score(7, 4))


@pytest.mark.usefixtures("float64")
def test_turning_keeps_the_length():
    x = torch.randn(5, 2, 8)
    turned = rotate(x, Rotary(8)(torch.arange(5)))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(turned[0], x[0])


def test_odd_channels_are_refused():
    with pytest.raises(ValueError, match="even number of channels per head, got 7"):
        Rotary(7)
