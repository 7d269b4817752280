"""The laws that every layer and model keeps, stated once.

Numbers as in the list of laws in docs/architecture.md. Dropout is off in all of them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from gia.attention import (
    AttentionAdjacency,
    Cache,
    CausalScope,
    Differential,
    DotProductScore,
    FullScope,
    Rotary,
    Scope,
    Softmax,
)
from gia.attention.sparsify import Sparsifier, Threshold, TopK
from gia.nn import (
    GINMLP,
    Block,
    GINAttention,
    LanguageModel,
    PNAAttention,
    SoftmaxAttention,
    SwiGLU,
)

SCOPES = [CausalScope, FullScope]
ATTENTIONS = [
    "gin", "gin_out_proj", "gin_two_hops", "pna", "pna_all", "pna_own",
    "softmax", "softmax_of_nodes",
]  # fmt: skip
# Those whose graphs a cache cannot continue.
SPARSE_ATTENTIONS = ["gin_top_k", "gin_differential", "pna_threshold", "pna_token"]


def make_adjacency(
    width: int,
    heads: int,
    form: str = "auto",
    sparsify: Sparsifier | None = None,
    hops: int = 1,
) -> AttentionAdjacency:
    return AttentionAdjacency(
        score=DotProductScore(width, heads),
        normalize=Softmax(temperature=0.7, sharpening=(0.5, 1.5)),
        sparsify=sparsify,
        hops=hops,
        form=form,
    )


def make_attention(name: str, width: int = 16, heads: int = 2, form: str = "auto") -> nn.Module:
    adjacency = make_adjacency(width, heads, form)
    if name == "gin_two_hops":
        adjacency = make_adjacency(width, heads, form, hops=2)
        return GINAttention(width, heads, adjacency=adjacency, eps=0.2)
    if name == "gin_top_k":
        adjacency = make_adjacency(width, heads, form, TopK(2))
        return GINAttention(width, heads, adjacency=adjacency, eps=0.2)
    if name == "gin_differential":
        adjacency = AttentionAdjacency(
            score=DotProductScore(width, heads, maps=2), normalize=Differential(), form=form
        )
        return GINAttention(width, heads, adjacency=adjacency)
    if name == "pna_threshold":
        adjacency = make_adjacency(width, heads, form, Threshold(0.1, weighting="renormalize"))
        return PNAAttention(width, heads, adjacency=adjacency)
    if name == "pna_token":
        aggregators = ["mean", "token_max", "var", "token_min"]
        return PNAAttention(
            width, heads, adjacency=adjacency, aggregators=aggregators, threshold=0.1
        )
    if name == "pna_own":
        aggregators = ["sum", "mean", "own", "var"]
        return PNAAttention(width, heads, adjacency=adjacency, aggregators=aggregators)
    if name == "softmax_of_nodes":
        return SoftmaxAttention(width, heads, adjacency=adjacency, values=False)
    if name == "softmax":
        return SoftmaxAttention(width, heads, adjacency=adjacency)
    if name == "gin":
        return GINAttention(width, heads, adjacency=adjacency, eps=0.2)
    if name == "gin_out_proj":
        return GINAttention(width, heads, adjacency=adjacency, multiplier=2, out_proj=True)
    if name == "pna":
        return PNAAttention(width, heads, adjacency=adjacency)
    return PNAAttention(
        width,
        heads,
        adjacency=adjacency,
        aggregators=["sum", "mean", "min", "max", "var", "std"],
        scalers=["identity", "amplification", "inverse_linear"],
        deg=torch.tensor([0, 3, 2, 1], device="cpu"),
        degree="count",
    )


def make_model(attention: str, vocab_size: int = 11, dropout: float = 0.0) -> LanguageModel:
    mlp = GINMLP(16, 24, 2) if attention == "gin_two_hops" else SwiGLU(16, 24)
    block = Block(16, attention=make_attention(attention), mlp=mlp, dropout=dropout)
    return LanguageModel(vocab_size=vocab_size, width=16, heads=2, depth=2, block=block)


def sequences(lengths: Sequence[int], vocab_size: int = 11) -> list[Data]:
    """Random token sequences as graphs."""
    return [
        Data(
            token=torch.randint(vocab_size, (length,)),
            y=torch.randint(vocab_size, (length,)),
            seq_pos=torch.arange(length),
            num_nodes=length,
        )
        for length in lengths
    ]


def layer_inputs(lengths: Sequence[int], scope: type[Scope], width: int = 16, heads: int = 2):
    """Random features of a ragged batch, its scope and the angles of its positions."""
    sizes = torch.tensor([0, *lengths])
    pos = torch.cat([torch.arange(length) for length in lengths])
    angles = Rotary(width // heads)(pos)
    return torch.randn(int(sizes.sum()), width), scope(sizes.cumsum(0)), angles


def outputs_and_gradients(
    module: nn.Module, x: Tensor, call: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """The output of ``call(x)`` and the gradients of a generic scalar made of it."""
    module.zero_grad()
    x = x.detach().clone().requires_grad_()
    out = call(x)
    weights = torch.linspace(0.5, 1.5, out.numel(), dtype=out.dtype, device=out.device)
    weights = weights.view_as(out)
    (out.pow(2) * weights).sum().backward()
    found = {"output": out.detach(), "x": x.grad}
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            found[name] = parameter.grad.clone()
    return found


def assert_same(left: dict[str, Tensor], right: dict[str, Tensor], tolerance: float) -> None:
    """Outputs and gradients agree, relative to the largest entry of each."""
    assert left.keys() == right.keys()
    for name, value in left.items():
        scale = max(1.0, float(value.abs().max())) if value.numel() else 1.0
        difference = (value - right[name]).abs()
        worst = float(difference.max()) if value.numel() else 0.0
        assert worst <= tolerance * scale, f"{name} differs by {worst:.2e}, scale {scale:.2e}"


def law_1_forms_agree(attention: nn.Module, inputs: Any, tolerance: float) -> None:
    """Every form: the same outputs and gradients."""
    x, scope, angles = inputs
    results = []
    for form in ("auto", "dense", "edges"):
        attention.adjacency.form = form
        results.append(outputs_and_gradients(attention, x, lambda x: attention(x, scope, angles)))
    for result in results[1:]:
        assert_same(results[0], result, tolerance)


def law_4_causality(model: Callable[[Data], Tensor], graph: Data, vocab_size: int = 11) -> None:
    """Changing a node changes no output before it, exactly, and its own output for sure."""
    before = model(graph)
    for node in range(graph.num_nodes):
        changed = graph.clone()
        changed.token = graph.token.clone()
        changed.token[node] = (graph.token[node] + 1) % vocab_size
        after = model(changed)
        assert torch.equal(after[:node], before[:node]), f"node {node} leaks into the past"
        assert not torch.equal(after[node], before[node])


def law_5_batch_invariance(
    model: Callable[[Data], Tensor], graphs: list[Data], tolerance: float
) -> None:
    """A graph's output is the same alone and in any batch."""
    batch = Batch.from_data_list(graphs)
    together = model(batch)
    for number, graph in enumerate(graphs):
        alone = model(Batch.from_data_list([graph]))
        mine = together[batch.ptr[number] : batch.ptr[number + 1]]
        torch.testing.assert_close(mine, alone, rtol=tolerance, atol=tolerance)


def law_8_cached_equals_uncached(
    model: LanguageModel, prompts: Sequence[int], steps: Sequence[int], tolerance: float
) -> None:
    """Logits with a cache are those without, for prompts and what follows, some nodes at a time."""
    total = sum(steps)
    graphs = sequences([length + total for length in prompts])
    together = model(Batch.from_data_list(graphs)).split([graph.num_nodes for graph in graphs])
    cache = Cache(len(model.blocks), max(prompts) + total)
    known = [0] * len(prompts)
    for step in [None, *steps]:
        new = list(prompts) if step is None else [step] * len(prompts)
        parts = []
        for graph, start, number in zip(graphs, known, new, strict=True):
            part = slice(start, start + number)
            parts.append(
                Data(token=graph.token[part], seq_pos=graph.seq_pos[part], num_nodes=number)
            )
        with torch.no_grad():
            logits = model(Batch.from_data_list(parts), cache).split(new)
        for whole, found, start, number in zip(together, logits, known, new, strict=True):
            expected = whole[start : start + number]
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
        known = [start + number for start, number in zip(known, new, strict=True)]
