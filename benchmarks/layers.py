"""Attention layers at one size, ready to be run: gia's and their peers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from harness import peak_memory
from peers import (
    EagerGIN,
    EagerPNA,
    FlashAttention,
    PaddedGIN,
    PlainAttention,
    transformer_conv,
)
from report import Report
from torch import Tensor, nn

from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    DotProductScore,
    FullScope,
    Rotary,
    Softmax,
    WindowScope,
)
from gia.attention.sparsify import TopK
from gia.nn import GINAttention, PNAAttention, SoftmaxAttention
from gia.typing import Form

SHORTEST, GRAPHS = 0.1, 16  # sizes from 0.1 L to L: 45 % of a padded batch of them is padding
TOP, WINDOW = 16, 64  # edges of a node and head that sparse layers keep; how far windows reach


@dataclass(frozen=True)
class Case:
    """One layer at one size."""

    layer: str
    length: int
    batch: int
    width: int = 560
    heads: int = 8
    dtype: str = "float32"
    device: str = "cpu"

    @property
    def bytes(self) -> int:
        """Of one number."""
        return getattr(torch, self.dtype).itemsize

    @property
    def tokens(self) -> int:
        """Of a batch."""
        return self.batch * self.length


Call = Callable[[Tensor], Tensor]


def ragged(layer: nn.Module, case: Case) -> Call:
    """A layer of gia on a batch of graphs of one length."""
    scope, angles = causal(case)
    return lambda x: layer(x.flatten(0, 1), scope, angles).view_as(x)


def in_window(layer: nn.Module, case: Case) -> Call:
    """The same, where each node sees a few before it."""
    scope, angles = causal(case)

    def call(x: Tensor) -> Tensor:
        window = WindowScope(scope.ptr, scope.sizes, window=WINDOW)  # a new one for each batch
        return layer(x.flatten(0, 1), window, angles).view_as(x)

    return call


def dense(layer: nn.Module, case: Case) -> Call:
    """A peer on ``[B, L, D]``."""
    angles = rotary(torch.arange(case.length), case)
    return lambda x: layer(x, angles)


def on_edges(layer: nn.Module, case: Case) -> Call:
    """A layer of PyG on the edges of the causal scope."""
    edge_index = causal(case)[0].edge_index()
    return lambda x: layer(x.flatten(0, 1), edge_index).view_as(x)


def causal(case: Case) -> tuple[CausalScope, Tensor]:
    """The scope of a batch of sequences, and the angles of their positions."""
    ptr = torch.arange(case.batch + 1, device=case.device) * case.length
    return CausalScope(ptr), rotary(torch.arange(case.length).repeat(case.batch), case)


def rotary(pos: Tensor, case: Case) -> Tensor:
    """Cosines and sines of positions, ``[2, N, 1, d]``."""
    angles = Rotary(case.width // case.heads)(pos.to(case.device))
    return angles.to(getattr(torch, case.dtype))


def adjacency(case: Case, **options: Any) -> AttentionAdjacency:
    """Softmax attention's graph."""
    score = DotProductScore(case.width, case.heads)
    return AttentionAdjacency(score=score, normalize=Softmax(), **options)


def sparse_gin(case: Case, form: Form) -> GINAttention:
    """GIN over the strongest edges of each node and head."""
    graph = adjacency(case, sparsify=TopK(TOP), form=form)
    return GINAttention(case.width, case.heads, adjacency=graph)


# How each layer is built and run.
LAYERS: dict[str, tuple[Callable[[Case], nn.Module], Callable[[nn.Module, Case], Call]]] = {
    "gin": (lambda c: GINAttention(c.width, c.heads, adjacency=adjacency(c)), ragged),
    "pna": (lambda c: PNAAttention(c.width, c.heads, adjacency=adjacency(c)), ragged),
    "softmax": (lambda c: SoftmaxAttention(c.width, c.heads, adjacency=adjacency(c)), ragged),
    "sparse_gin": (lambda c: sparse_gin(c, "edges"), ragged),
    "dense_gin": (lambda c: sparse_gin(c, "dense"), ragged),
    "window_gin": (lambda c: GINAttention(c.width, c.heads, adjacency=adjacency(c)), in_window),
    "sdpa": (lambda c: PlainAttention(c.width, c.heads), dense),
    "flash_sdpa": (lambda c: FlashAttention(c.width, c.heads), dense),
    "eager_gin": (lambda c: EagerGIN(c.width, c.heads), dense),
    "eager_pna": (lambda c: EagerPNA(c.width, c.heads), dense),
    "transformer_conv": (lambda c: transformer_conv(c.width, c.heads), on_edges),
}
# The layers whose memory grows with the square of the length: what each is held against, and about
# how many bytes forward and backward take.
QUADRATIC: dict[str, tuple[str, Callable[[Case], float]]] = {
    "eager_gin": ("gin", lambda c: 4 * c.bytes * c.tokens * c.length * c.heads),
    "eager_pna": ("pna", lambda c: 2.5 * c.bytes * c.tokens * c.length * c.width),
    "transformer_conv": ("gin", lambda c: 3.5 * c.bytes * c.tokens * c.length * c.width),
}


def prepare(case: Case) -> Callable[[], None]:
    """Build a layer and its inputs; the call is one forward and backward pass."""
    build, run_on = LAYERS[case.layer]
    return training_step(build(case), lambda layer: run_on(layer, case), inputs(case))


def layer_memory(case: Case, report: Report, threads: int) -> int | None:
    """Peak memory of a layer's forward and backward pass; None if it failed, which is told."""
    tiny = replace(case, length=4, batch=1)
    try:
        with report.console.status(f"memory of {case.layer} at L {case.length}"):
            return peak_memory(prepare, case, tiny, threads=threads, device=case.device)
    except MemoryError as error:
        report.note(str(error))
    except RuntimeError as error:
        report.fail(str(error))
    return None


def prepare_forward(case: Case) -> Callable[[], Any]:
    """Build a layer and its inputs; the call is one forward pass, without gradients."""
    build, run_on = LAYERS[case.layer]
    x = inputs(case)
    call = run_on(build(case).to(x), case)
    return torch.no_grad()(lambda: call(x))


def training_step(
    layer: nn.Module, run_on: Callable[[nn.Module], Call], x: Tensor
) -> Callable[[], None]:
    """Forward and backward, with gradients of the parameters and of x, as inside a stack."""
    call, gradient = run_on(layer.to(x)), torch.randn_like(x)
    x.requires_grad_()

    def step() -> None:
        layer.zero_grad()
        x.grad = None
        call(x).backward(gradient)

    return step


def inputs(case: Case) -> Tensor:
    """Random features, ``[B, L, D]``."""
    shape = (case.batch, case.length, case.width)
    return torch.randn(shape, dtype=getattr(torch, case.dtype), device=case.device)


def fitting(case: Case, available: float) -> Case | None:
    """The case with the largest batch, of its own and its halves, that half the memory holds."""
    needed = QUADRATIC[case.layer][1] if case.layer in QUADRATIC else lambda c: 0
    while case.batch >= 1 and needed(case) > available / 2:
        case = replace(case, batch=case.batch // 2)
    return case if case.batch >= 1 else None


def full_scope(case: Case) -> tuple[Callable[[], None], Callable[[], None], float]:
    """GIN over all pairs of graphs of many sizes, ragged and padded, and the share of padding."""
    sizes = torch.linspace(SHORTEST, 1, GRAPHS).mul(case.length).round().clamp(min=1).long()
    sizes = sizes[torch.randperm(GRAPHS)].to(case.device)
    mask = torch.arange(case.length, device=case.device) < sizes.unsqueeze(1)  # [B, L]
    scope = FullScope(torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]))
    x = inputs(replace(case, batch=GRAPHS))

    ours = GINAttention(case.width, case.heads, adjacency=adjacency(case))
    step = training_step(ours, lambda layer: lambda x: layer(x, scope), x[mask])
    padded = training_step(
        PaddedGIN(case.width, case.heads), lambda layer: lambda x: layer(x, mask), x
    )
    return step, padded, 1 - float(mask.float().mean())
