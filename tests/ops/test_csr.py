import pytest
import torch

from gia.ops.csr import CSR

SHAPE = (4, 5)
PLACES = {
    "sorted": ([0, 0, 1, 3], [0, 4, 2, 1]),
    "unsorted": ([3, 0, 1, 0], [1, 4, 2, 0]),
    "duplicates": ([2, 0, 2, 2, 0, 0], [1, 3, 1, 0, 3, 3]),  # rows 1 and 3 are empty
    "none": ([], []),
}


def pattern_of(name):
    row, col = (torch.tensor(ends, dtype=torch.long) for ends in PLACES[name])
    return CSR(row, col, SHAPE), row, col


def dense(row, col, value):
    return torch.zeros(SHAPE, dtype=value.dtype).index_put((row, col), value, accumulate=True)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("name", PLACES)
def test_multiply_is_a_matrix_product(name, weighted):
    pattern, row, col = pattern_of(name)
    value, x = torch.randn(row.numel()), torch.randn(5, 3)
    out = pattern.multiply(pattern.arrange(value) if weighted else None, x)
    expected = dense(row, col, value if weighted else torch.ones_like(value)) @ x
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("name", PLACES)
def test_dots_are_entries_of_a_matrix_product(name):
    pattern, row, col = pattern_of(name)
    left, right = torch.randn(4, 3), torch.randn(5, 3)
    found = pattern.restore(pattern.dots(left, right))
    torch.testing.assert_close(found, (left @ right.T)[row, col])


@pytest.mark.parametrize("name", PLACES)
def test_argmax_is_the_last_of_the_largest(name):
    pattern, row, col = pattern_of(name)
    x = torch.randint(2, (5, 3)).float()
    found = pattern.argmax(x)
    for place in range(4):
        columns = col[row == place].tolist()
        for channel in range(3):
            expected = max(columns, key=lambda c, d=channel: (x[c, d].item(), c), default=-1)
            assert found[place, channel] == expected


@pytest.mark.parametrize("name", PLACES)
def test_arranging_is_undone(name):
    pattern, row, _ = pattern_of(name)
    value = torch.randn(row.numel())
    assert torch.equal(pattern.restore(pattern.arrange(value)), value)
    assert torch.equal(pattern.row, row.sort().values)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.usefixtures("float64")
def test_first_and_second_derivatives(name):
    pattern, row, _ = pattern_of(name)
    value = torch.randn(row.numel(), requires_grad=True)
    x, left = (torch.randn(n, 3, requires_grad=True) for n in (5, 4))
    for function, inputs in (
        (lambda value, x: pattern.multiply(value, x), (value, x)),
        (lambda x: pattern.multiply(None, x).sin(), (x,)),
        (lambda left, right: pattern.dots(left, right), (left, x)),
    ):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_and_multiplied_in_float32(dtype):
    pattern, row, col = pattern_of("duplicates")
    left, right = torch.randn(4, 64).to(dtype), torch.randn(5, 64).to(dtype)
    found = pattern.restore(pattern.dots(left, right))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, (left.float() @ right.float().T)[row, col])
    value = torch.rand(row.numel())
    assert pattern.multiply(pattern.arrange(value), right).dtype == torch.float32
