"""The kernels of gia.ops, each at a size that layers have, and what it computes in plain torch."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from gia.ops.add_at import add_at
from gia.ops.csr import CSR, follow
from gia.ops.dropout import drop
from gia.ops.lay_out import lay_out
from gia.ops.linear_cross_entropy import linear_cross_entropy
from gia.ops.move_rows import move_rows
from gia.ops.pair_dots import pair_dots
from gia.ops.recompute import forgetting
from gia.ops.relu import relu_in_place
from gia.ops.rms_norm import rms_norm, rms_norm_silu
from gia.ops.rotate import rotate
from gia.ops.row_softmax import row_softmax
from gia.ops.running_max import running_max
from gia.ops.silu import gated
from gia.ops.softmax_gradient import softmax_gradient
from gia.ops.top_k import top_k, top_k_of_rows

# Edges of a node; how many have a square that is not large; atoms of a small molecule; symbols of
# a pretrained model.
EDGES, FEW, SHORT, CLASSES = 16, 2048, 12, 32_000
Function = Callable[..., Any]


# Those that layers and models call.
USED: dict[str, Function] = {
    "add_at": add_at,
    "dropout": drop,
    "forgetting": forgetting,
    "gated": gated,
    "lay_out": lay_out,
    "linear_cross_entropy": linear_cross_entropy,
    "move_rows": move_rows,
    "pair_dots": pair_dots,
    "relu_in_place": relu_in_place,
    "rms_norm": rms_norm,
    "rms_norm_silu": rms_norm_silu,
    "rotate": rotate,
    "row_softmax": row_softmax,
    "running_max": running_max,
    "csr_multiply": CSR.multiply,
    "csr_dots": CSR.dots,
    "csr_argmax": CSR.argmax,
    "softmax_gradient": softmax_gradient,
    "top_k": top_k,
    "top_k_of_rows": top_k_of_rows,
}


@dataclass(frozen=True)
class Kernel:
    """A kernel and its definition, with inputs; None: what there is no gradient for.

    Attributes:
        function (callable): The kernel.
        definition (callable): What it computes.
        inputs (tuple): Of both.
        size (str): Of the inputs, to be read.
    """

    function: Function
    definition: Function
    inputs: tuple
    size: str

    def step(self, function: Function) -> Callable[[], None]:
        """A call of one of the two: forward and, where there is a gradient, backward."""
        leaves = [x for x in self.inputs if isinstance(x, Tensor) and x.requires_grad]
        gradient = []

        def call() -> None:
            out = function(*self.inputs)
            if leaves:
                gradient[:] = gradient or [torch.randn_like(out)]
                torch.autograd.grad(out, leaves, gradient[0])

        return call


def kernels(args: Namespace) -> dict[str, Callable[[], Kernel]]:
    """How each kernel is made ready."""
    nodes, heads, length = args.tokens, args.heads, args.length
    channels = args.width // args.heads
    dtype = getattr(torch, args.dtype)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=dtype, requires_grad=True)

    def of(kernel: Function, *inputs: Any) -> Kernel:
        sizes = (list(x.shape) for x in inputs if isinstance(x, Tensor))
        return Kernel(kernel, kernel.definition, inputs, str(next(sizes)))

    def on_matrix(kernel: Function, *inputs: Any) -> Kernel:
        row = torch.arange(nodes * heads).repeat_interleave(EDGES)
        column = torch.randint(nodes * heads, (row.numel(),))
        matrix = CSR(row, column, (nodes * heads, nodes * heads))
        made = of(kernel, matrix, *inputs)
        return Kernel(made.function, made.definition, made.inputs, f"{EDGES} edges, {made.size}")

    def places() -> tuple[Tensor, Tensor]:
        node = torch.arange(nodes)
        return node, node + node // length * (length // 8)  # an eighth is padding

    weight = partial(torch.ones, dtype=dtype, requires_grad=True)
    return {
        "add_at": lambda: _add_at(random(nodes // length, heads, length, length)),
        "dropout": lambda: of(drop, random(nodes, args.width), 0.1),
        "forgetting": lambda: _forgetting(random(nodes, 3 * args.width), args),
        "gated": lambda: of(gated, random(nodes, 3 * args.width), random(nodes, 3 * args.width)),
        "linear_cross_entropy": lambda: of(
            linear_cross_entropy, random(nodes, args.width),
            random(CLASSES, args.width).detach() / args.width**0.5,
            torch.randint(CLASSES, (nodes,)),
        ),
        "move_rows": lambda: of(
            move_rows, random(nodes, args.width), *places(), nodes + nodes // 8
        ),
        "lay_out": lambda: _lay_out(random(nodes * heads, channels)),
        "pair_dots": lambda: of(
            pair_dots, random(nodes // length, heads, length, channels),
            random(nodes // length, heads, length, channels), 0.1,
        ),
        "relu_in_place": lambda: _relu(random(nodes * 2, args.width)),
        "rms_norm": lambda: of(rms_norm, random(nodes, args.width), weight(args.width), 1e-5),
        "rms_norm_silu": lambda: of(
            rms_norm_silu, random(heads, nodes, channels), weight((heads, 1, channels)), 1e-5
        ),
        "rotate": lambda: of(
            rotate, random(nodes, heads, channels), random(2, nodes, 1, channels).detach()
        ),
        "row_softmax": lambda: of(
            row_softmax, random(nodes // SHORT, heads, SHORT, SHORT),
            torch.zeros(nodes // SHORT, 1, SHORT, SHORT).masked_fill_(
                torch.rand(nodes // SHORT, 1, 1, SHORT) < 0.2, -torch.inf
            ),
            torch.ones(nodes // SHORT, 1, SHORT, 1),
        ),
        "running_max": lambda: of(running_max, random(nodes // length, length, args.width)),
        "csr_multiply": lambda: on_matrix(
            CSR.multiply, random(nodes * heads * EDGES), random(nodes * heads, channels)
        ),
        "csr_dots": lambda: on_matrix(
            CSR.dots, random(nodes * heads, channels), random(nodes * heads, channels)
        ),
        "csr_argmax": lambda: on_matrix(
            CSR.argmax, random(nodes * heads, channels).detach()
        ),
        "follow": lambda: of(
            follow, torch.randint(FEW, (FEW,)), torch.randint(FEW, (FEW,)), FEW
        ),
        "softmax_gradient": lambda: _softmax_gradient(nodes // length, heads, length, dtype),
        "top_k": lambda: of(
            top_k, random(nodes // length, heads, length, length).detach(), EDGES
        ),
        "top_k_of_rows": lambda: of(
            top_k_of_rows, random(FEW).detach(), torch.randint(FEW // EDGES, (FEW,)), 4
        ),
    }  # fmt: skip


def _forgetting(x: Tensor, args: Namespace) -> Kernel:
    """A projection of what is cheap to make again."""
    weight = torch.randn(args.width, x.size(1), dtype=x.dtype, requires_grad=True)

    def forgetful(x: Tensor, weight: Tensor) -> Tensor:
        hidden = x * 2
        with forgetting(hidden, lambda: x * 2):
            return linear(hidden, weight)

    return Kernel(forgetful, lambda x, w: linear(x * 2, w), (x, weight), str(list(x.shape)))


def _relu(x: Tensor) -> Kernel:
    """What is overwritten is not to be a leaf."""
    size = str(list(x.shape))
    return Kernel(
        lambda x: relu_in_place(x + 1), lambda x: relu_in_place.definition(x + 1), (x,), size
    )


def _add_at(total: Tensor) -> Kernel:
    """Numbers of edges added to scores, which are overwritten and so are no leaf."""
    values = torch.randn(8, total.size(1), requires_grad=True)
    row = torch.randint(8, (EDGES * total.size(0) * total.size(2),))
    place = torch.randint(total.numel(), (row.numel(), total.size(1)))

    def of(function: Function) -> Function:
        return lambda total, *rest: function(total + 1, *rest)

    size = f"{row.numel()} in {list(total.shape)}"
    return Kernel(of(add_at), of(add_at.definition), (total, values, row, place), size)


def _lay_out(x: Tensor) -> Kernel:
    """Rows in two blocks of which an eighth is padding."""
    half = x.size(0) // 2
    rows = torch.arange(half)
    source = torch.cat([rows, rows[-1:].expand(half // 8)])
    places = torch.cat([rows, rows + source.numel()])

    def of(function: Function) -> Function:
        return lambda x: torch.cat(
            [part for (part,) in function([x], [source, source + half], places)]
        )

    return Kernel(of(lay_out), of(lay_out.definition), (x,), str(list(x.shape)))


def _softmax_gradient(batch: int, heads: int, length: int, dtype: torch.dtype) -> Kernel:
    """A few edges of every row; the weights are overwritten, so each call has its own."""
    weight = torch.rand(batch, heads, length, length, dtype=dtype).softmax(-1)
    rows = torch.arange(weight.numel() // length).unsqueeze(1) * length
    place = (rows + torch.arange(EDGES) * (length // EDGES)).flatten()
    inputs = weight, place, torch.rand(place.shape, dtype=dtype)
    return Kernel(
        lambda weight, *rest: softmax_gradient(weight.clone(), *rest),
        softmax_gradient.definition, inputs, str(list(weight.shape)),
    )  # fmt: skip


def kept_bytes(call: Callable[[], Any], apart: Sequence[Tensor] = ()) -> int:
    """What a call keeps for its gradient, but for some tensors that are there anyway."""
    kept: dict[int, Tensor] = {}

    def note(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        result = call()
    for x in apart:
        kept.pop(x.untyped_storage().data_ptr(), None)
    del result
    return sum(x.untyped_storage().nbytes() for x in kept.values())


def called(call: Callable[[], Any]) -> list[str]:
    """The kernels that a call runs, by name."""
    found: dict[str, None] = {}

    def note(name: str, kernel: Function) -> Function:
        def noted(*args: Any, **kwargs: Any) -> Any:
            found[name] = None
            return kernel(*args, **kwargs)

        return noted

    with ExitStack() as stack:
        for name, kernel in USED.items():
            stack.enter_context(replaced(kernel, note(name, kernel)))
        call()
    return [name for name in USED if name in found]


@contextmanager
def replaced(kernel: Function, other: Function) -> Iterator[None]:
    """Another function in the place of a kernel, wherever the library calls it."""
    modules = [m for name, m in [*sys.modules.items()] if name.partition(".")[0] == "gia"]
    places = [
        (holder, name)
        for holder in chain(modules, [CSR])
        for name, value in [*vars(holder).items()]
        if value is kernel
    ]
    for holder, name in places:
        setattr(holder, name, other)
    try:
        yield
    finally:
        for holder, name in places:
            setattr(holder, name, kernel)
