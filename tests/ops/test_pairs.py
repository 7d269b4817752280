"""The steps of attention that is written out: nodes laid out, their products, numbers of edges."""

import pytest
import torch

from gia.ops.add_at import add_at
from gia.ops.lay_out import lay_out
from gia.ops.pair_dots import pair_dots
from gia.ops.row_softmax import row_softmax

pytestmark = pytest.mark.usefixtures("float64")


def test_rows_are_laid_out_and_padding_has_no_gradient():
    x, y = (torch.randn(5, 3, requires_grad=True) for _ in range(2))
    # Rows 3 and 4 in the first block, the others in the second, both filled up with a last row.
    sources = [torch.tensor([3, 4, 4]), torch.tensor([2, 0, 1, 1])]
    places = torch.tensor([4, 5, 3, 0, 1])

    def definition(x):
        filled = [x[sources[0]], x[sources[1]]]
        real = [torch.tensor([1, 1, 0]), torch.tensor([1, 1, 1, 0])]
        return [part * mask.unsqueeze(1) for part, mask in zip(filled, real, strict=True)]

    parts = lay_out([x, y], sources, places)
    for block, source in zip(parts, sources, strict=True):
        for part, of in zip(block, (x, y), strict=True):
            assert torch.equal(part, of[source])
    weights = [torch.randn(3, 3), torch.randn(4, 3)]
    weights[0][2:], weights[1][3:] = 0, 0  # what is made of padding counts for nothing
    for number, tensor in enumerate((x, y)):
        found = sum(
            (w * block[number].sin()).sum() for w, block in zip(weights, parts, strict=True)
        )
        both = zip(weights, definition(tensor), strict=True)
        expected = sum((w * part.sin()).sum() for w, part in both)
        (left,), (right,) = (
            torch.autograd.grad(out, tensor, retain_graph=True) for out in (found, expected)
        )
        torch.testing.assert_close(left, right)


def test_products_have_gradients_of_both_orders():
    left = torch.randn(2, 3, 4, 5, requires_grad=True)
    right = torch.randn(2, 3, 6, 5, requires_grad=True)
    torch.testing.assert_close(pair_dots(left, right, 0.3), 0.3 * left @ right.transpose(-1, -2))
    assert torch.autograd.gradcheck(lambda a, b: pair_dots(a, b, 0.3), (left, right))
    assert torch.autograd.gradgradcheck(lambda a, b: pair_dots(a, b, 0.3), (left, right))
    assert not pair_dots(left, right, 1.0)._is_view()


def test_numbers_are_added_in_place_and_have_gradients_of_both_orders():
    total = torch.randn(2, 2, 3, requires_grad=True)
    values = torch.randn(3, 2, requires_grad=True)
    row, place = torch.tensor([2, 0, 2]), torch.tensor([[0, 6], [4, 10], [0, 11]])

    def call(total, values):
        return add_at(total * 1.0, values, row, place)

    expected = total.detach().clone().view(-1)
    for edge in range(3):
        for head in range(2):
            expected[place[edge, head]] += values[row[edge], head].detach()
    torch.testing.assert_close(call(total, values).flatten(), expected)
    assert torch.autograd.gradcheck(call, (total, values))
    assert torch.autograd.gradgradcheck(lambda t, v: call(t, v).sin(), (total, values))
    mine = torch.zeros(2, 2, 3)
    assert add_at(mine, values.detach(), row, place) is mine


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("columns", [1, 5, 15, 16, 20])
def test_softmax_of_short_long_and_empty_rows(columns, added):
    values = torch.randn(3, 2, 4, columns, requires_grad=True)
    allowed = torch.rand(3, 1, 4, columns) > 0.4
    allowed[..., 0], allowed[1, :, 2] = True, False
    empty = ~allowed.any(-1, keepdim=True)
    hidden = ~allowed & ~empty
    if added:
        hidden = torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf)
    live = (~empty).double()

    def definition(values):
        shown = values.masked_fill(~allowed & ~empty, -torch.inf)
        return (shown.exp() / shown.exp().sum(-1, keepdim=True)) * live

    torch.testing.assert_close(row_softmax(values, hidden, live), definition(values))
    assert torch.autograd.gradcheck(lambda x: row_softmax(x, hidden, live), values)
    assert torch.autograd.gradgradcheck(lambda x: row_softmax(x, hidden, live), values)
