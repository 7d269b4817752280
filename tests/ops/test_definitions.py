"""Every kernel computes what its definition computes: values, gradients, in any precision."""

import importlib
import pkgutil

import pytest
import torch
from torch.testing import assert_close

import gia.ops
from gia.ops.add_at import add_at
from gia.ops.csr import CSR, follow
from gia.ops.linear_cross_entropy import linear_cross_entropy
from gia.ops.move_rows import move_rows
from gia.ops.pair_dots import pair_dots
from gia.ops.relu import relu_in_place
from gia.ops.rms_norm import rms_norm, rms_norm_silu
from gia.ops.rotate import rotate
from gia.ops.row_softmax import row_softmax
from gia.ops.running_max import running_max
from gia.ops.silu import gated
from gia.ops.softmax_gradient import softmax_gradient
from gia.ops.top_k import top_k, top_k_of_rows

H, D = 3, 4


def normal(*shape):
    return torch.randn(shape, requires_grad=True)


def hidden(nodes, columns):
    """Nothing is seen of the second score, and the last row is empty."""
    mask, live = torch.zeros(1, nodes, columns, dtype=torch.bool), torch.ones(nodes, 1)
    mask[..., 1] = True
    mask[:, -1:], live[-1:] = False, 0
    return mask, live


def added(mask, live):
    return torch.zeros(mask.shape).masked_fill(mask, -torch.inf), live


def matrix(nodes):
    """Some rows are empty, some entries share a place."""
    row = torch.randint(max(nodes, 1), (2 * nodes,)) // 2
    return CSR(row, torch.randint(max(nodes, 1), (2 * nodes,)), (nodes, nodes))


def norm_weight(*shape):
    return torch.rand(shape).add(0.5).requires_grad_()


def at_places(nodes):
    """Values, which of them each edge has, and the place of each edge and head."""
    row = torch.tensor([3, 0, 3])[: 3 * nodes]
    return normal(4, 2), row, torch.randint(max(nodes * H, 1), (row.numel(), 2))


def softmax(nodes):
    weight = torch.rand(H, nodes, 6).softmax(-1)
    place = (torch.arange(H * nodes).unsqueeze(1) * 6 + torch.tensor([0, 4])).flatten()
    return weight, place, torch.randn(place.shape)


def levels(*shape):
    """Many ties, and what may not be chosen."""
    values = torch.randint(4, shape).to(torch.get_default_dtype())
    return values.masked_fill(torch.rand(shape) < 0.3, -torch.inf)


# For a number of nodes: the kernel and its inputs. Those of the first have two derivatives.
TWICE = {
    "gated": lambda n: (gated, normal(n, D), normal(n, D)),
    "move some rows": lambda n: (
        move_rows, normal(n, D), torch.arange(0, n, 2), torch.arange(0, n, 2).flip(0), n + 1,
    ),
    "move to some rows": lambda n: (
        move_rows, normal(n, D), None, torch.randperm(n + 2)[:n], n + 2,
    ),
    "move from some rows": lambda n: (
        move_rows, normal(n, D), torch.randperm(n)[: n // 2], None, n // 2,
    ),
    "relu": lambda n: (after_a_sum(relu_in_place), normal(n, D)),
    "rms_norm": lambda n: (rms_norm, normal(n, D), norm_weight(D), 0.1),
    "rms_norm of heads": lambda n: (rms_norm, normal(H, n, D), norm_weight(H, 1, D), 0.1),
    "rms_norm_silu": lambda n: (rms_norm_silu, normal(n, D), norm_weight(D), 0.1),
    "rotate": lambda n: (rotate, normal(n, H, D), torch.randn(2, n, 1, D)),
    "pair_dots": lambda n: (pair_dots, normal(2, H, n, D), normal(2, H, 5, D), 0.3),
    "add_at": lambda n: (after_a_sum(add_at), normal(n, H), *at_places(n)),
    "row_softmax of short rows": lambda n: (row_softmax, normal(H, n, 5), *hidden(n, 5)),
    "row_softmax of long rows": lambda n: (row_softmax, normal(H, n, 20), *hidden(n, 20)),
    "row_softmax, minus infinity added": lambda n: (
        row_softmax, normal(H, n, 5), *added(*hidden(n, 5)),
    ),
    "csr multiply": lambda n: (CSR.multiply, matrix(n), normal(2 * n), normal(n, D)),
    "csr multiply by ones": lambda n: (CSR.multiply, matrix(n), None, normal(n, D)),
    "csr dots": lambda n: (CSR.dots, matrix(n), normal(n, D), normal(n, D)),
}  # fmt: skip
ONCE = {
    "running_max": lambda n: (running_max, normal(2, n, D)),
    "linear_cross_entropy": lambda n: (
        linear_cross_entropy, normal(n, D), torch.randn(6, D), torch.randint(6, (n,)),
    ),
    "linear_cross_entropy with a bias": lambda n: (
        linear_cross_entropy, normal(n, D), torch.randn(6, D), torch.randint(6, (n,)),
        torch.randn(6),
    ),
    "linear_cross_entropy of a trained weight": lambda n: (
        linear_cross_entropy, normal(n, D), normal(6, D), torch.randint(6, (n,)), normal(6),
    ),
}  # fmt: skip
NEVER = {
    "csr argmax": lambda n: (CSR.argmax, matrix(n), levels(n, D)),
    "follow": lambda n: (
        follow, torch.randint(max(n, 1), (2 * n,)), torch.randint(max(n, 1), (3 * n,)), n,
    ),
    "softmax_gradient": lambda n: (softmax_gradient, *softmax(n)),
    "top_k": lambda n: (top_k, levels(H, n, 7), 3),
    "top_k of all": lambda n: (top_k, levels(n, 7), 9),
    "top_k, a number for each row": lambda n: (
        top_k, levels(H, n, 7), torch.randint(1, 6, (n, 1)) if n else torch.ones(0, 1).long(),
    ),
    "top_k_of_rows": lambda n: (
        top_k_of_rows, levels(5 * n), torch.randint(max(n, 1), (5 * n,)), 2,
    ),
    "top_k_of_rows, a number for each": lambda n: (
        top_k_of_rows, levels(5 * n), torch.arange(n).repeat(5),
        torch.randint(1, 4, (n,)).repeat(5),
    ),
}  # fmt: skip
ALL = TWICE | ONCE | NEVER
with_gradient = pytest.mark.parametrize("name", TWICE | ONCE)
every_kernel = pytest.mark.parametrize("name", ALL)


def after_a_sum(kernel):
    """What is overwritten is not to be a leaf."""

    def call(x, *rest):
        return kernel(x + 1, *rest)

    call.definition = lambda x, *rest: kernel.definition(x + 1, *rest)
    return call


def ready(name, nodes=7):
    kernel, *inputs = ALL[name](nodes)
    return kernel, inputs


def copied(inputs, change=lambda x: x):
    """The same inputs as leaves of their own."""
    return [
        change(x.detach().clone()).requires_grad_(x.requires_grad)
        if isinstance(x, torch.Tensor)
        else x
        for x in inputs
    ]


def leaves(inputs):
    return [x for x in inputs if isinstance(x, torch.Tensor) and x.requires_grad]


def results(function, inputs):
    """Outputs, and gradients of some function of them."""
    out = function(*inputs)
    outs = out if isinstance(out, tuple) else (out,)
    if not leaves(inputs):
        return list(outs)
    grad = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view_as(out)
    return [*outs, *torch.autograd.grad(out, leaves(inputs), grad)]


def assert_all_close(ours, theirs, **tolerance):
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, equal_nan=True, **tolerance)


@every_kernel
@pytest.mark.parametrize("nodes", [7, 1, 0])
@pytest.mark.usefixtures("float64")
def test_values_and_gradients_are_those_of_the_definition(name, nodes):
    if nodes == 0 and name == "follow":
        pytest.skip("there is no node for an edge to end at")
    kernel, inputs = ready(name, nodes)
    ours = results(kernel, copied(inputs))
    assert_all_close(ours, results(kernel.definition, copied(inputs)), rtol=1e-12, atol=1e-12)


@every_kernel
@pytest.mark.usefixtures("float64")
def test_inputs_need_not_lie_side_by_side(name):
    kernel, inputs = ready(name)
    theirs = results(kernel.definition, copied(inputs))
    if name == "softmax_gradient":  # overwritten: it has to be
        inputs[1:] = copied(inputs[1:], apart)
    else:
        inputs = copied(inputs, apart)
    assert any(not x.is_contiguous() for x in inputs if isinstance(x, torch.Tensor))
    assert_all_close(results(kernel, inputs), theirs, rtol=1e-12, atol=1e-12)


def apart(x):
    """The same numbers with others between them."""
    return torch.stack([x, torch.zeros_like(x)], -1)[..., 0] if x.dim() else x


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.usefixtures("float64")
def test_second_derivatives(name):
    kernel, inputs = ready(name, 3)
    others = [None if isinstance(x, torch.Tensor) and x.requires_grad else x for x in inputs]

    def call(*given):
        given = iter(given)
        return kernel(
            *(
                next(given) if isinstance(x, torch.Tensor) and x.requires_grad else other
                for x, other in zip(inputs, others, strict=True)
            )
        ).sin()

    assert torch.autograd.gradcheck(call, leaves(inputs))
    assert torch.autograd.gradgradcheck(call, leaves(inputs))


@with_gradient
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_near(name, dtype):
    kernel, inputs = ready(name)
    half = copied(inputs, lambda x: x.to(dtype) if x.is_floating_point() else x)
    exact = copied(half, lambda x: x.float() if x.is_floating_point() else x)
    ours, theirs = results(kernel, half), results(kernel.definition, exact)
    for leaf, grad in zip(leaves(half), ours[1:], strict=True):
        assert grad.dtype == leaf.dtype
    tolerance = 8 * torch.finfo(dtype).eps
    scale = [max(float(x.detach().abs().max()), 1) for x in theirs]
    for one, other, most in zip(ours, theirs, scale, strict=True):
        assert_close(one.float(), other, rtol=tolerance, atol=tolerance * most)


@with_gradient
def test_compiled_code_computes_the_same(name):
    torch._dynamo.reset()
    kernel, inputs = ready(name)
    compiled = torch.compile(
        lambda *inputs: kernel(*inputs), backend="aot_eager", fullgraph=True, dynamic=False
    )
    ours = results(compiled, copied(inputs))
    assert_all_close(ours, results(kernel, copied(inputs)), rtol=1e-5, atol=1e-5)


@with_gradient
def test_without_gradients_it_is_the_same(name):
    kernel, inputs = ready(name)
    with torch.no_grad():
        out = kernel(*copied(inputs))
    assert_close(out, kernel(*copied(inputs)).detach())


def test_no_kernel_is_left_out():
    names = {module.name for module in pkgutil.iter_modules(gia.ops.__path__)}
    modules = [importlib.import_module(f"gia.ops.{name}") for name in names]
    found = {
        id(value)
        for module in modules
        for holder in (module, *(v for v in vars(module).values() if isinstance(v, type)))
        for value in vars(holder).values()
        if hasattr(value, "definition")
    }
    wrapped = {"relu": relu_in_place, "add_at": add_at}
    tested = {id(wrapped.get(name) or ALL[name](2)[0]) for name in ALL}
    elsewhere = {
        id(value)
        for name in (
            "dropout.drop",  # by chance
            "recompute.forgetting",  # no function of numbers
            "lay_out.lay_out",  # its gradient is another where there is padding: test_pairs.py
        )
        for module, _, attribute in [name.partition(".")]
        for value in [getattr(importlib.import_module(f"gia.ops.{module}"), attribute)]
    }
    assert found == tested | elsewhere
