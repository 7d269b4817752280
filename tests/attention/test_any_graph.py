"""Laws 1, 4, 5, 6 and 7 for attention graphs whose parts are drawn at random.

Whatever combination the configuration allows is built, and held to all the laws that apply to it.
"""

from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import assert_same, outputs_and_gradients

from gia.attention import (
    AddInputGraph,
    AttentionAdjacency,
    BiasedScore,
    CausalScope,
    ConstantScore,
    Differential,
    DistanceBias,
    DotProductScore,
    EdgeBias,
    FullScope,
    GlobalScope,
    HeadNorm,
    HopBias,
    InputGraph,
    IntersectionScope,
    NeighborScope,
    PairNetworkScore,
    ReLU,
    Rotary,
    Softmax,
    Uniform,
    UnionScope,
    WindowScope,
    scope,
    sparsify,
)
from gia.attention import form as choice
from gia.graph import HopAdjacency
from gia.graph.pair_layout import PairLayout

WIDTH, HEADS = 8, 2
OPERATIONS = ["sum", "max", "min", "moments", "degree", "count"]

SCOPES = {
    "causal": CausalScope,
    "full": FullScope,
    "window": lambda *args, **kwargs: WindowScope(*args, window=3, **kwargs),
    "window_both": lambda *args, **kwargs: WindowScope(*args, window=2, causal=False, **kwargs),
    "global": lambda *args, **kwargs: GlobalScope(*args, nodes=2, **kwargs),
    "global_causal": GlobalScope.of(causal=True),
    "given": NeighborScope,
    "given_hops": lambda *args, **kwargs: NeighborScope(*args, hops=2, self_loops=False, **kwargs),
}
CAUSAL = {"causal", "window", "global_causal"}
PERMUTABLE = {"full", "given", "given_hops"}


def scope_of(expression):
    """What makes a scope: of a name, or of ``("|" or "&", expression, expression)``."""
    if isinstance(expression, str):
        return SCOPES[expression]
    sign, *parts = expression
    kind = UnionScope if sign == "|" else IntersectionScope
    return kind.of(parts=[scope_of(part) for part in parts])


def is_causal(expression):
    if isinstance(expression, str):
        return expression in CAUSAL
    sign, *parts = expression
    return (all if sign == "|" else any)(map(is_causal, parts))


def names_in(expression):
    if isinstance(expression, str):
        return {expression}
    return set().union(*map(names_in, expression[1:]))


def hop_bias():
    bias = HopBias(HEADS, max_hops=2)
    torch.nn.init.normal_(bias.value)
    return bias


SCORES = {
    "dot_product": lambda maps: DotProductScore(WIDTH, HEADS, maps=maps),
    "distance": lambda maps: BiasedScore(
        score=DotProductScore(WIDTH, HEADS), biases=[DistanceBias(HEADS)]
    ),
    "edge_attr": lambda maps: BiasedScore(
        score=DotProductScore(WIDTH, HEADS), biases=[EdgeBias(3, HEADS)]
    ),
    "hops": lambda maps: BiasedScore(
        score=DotProductScore(WIDTH, HEADS), biases=[hop_bias(), EdgeBias(3, HEADS)]
    ),
    "pair_network": lambda maps: PairNetworkScore(WIDTH, HEADS, hidden_channels=5),
    "constant": lambda maps: ConstantScore(WIDTH, HEADS),
}
NORMALIZERS = {
    "softmax": lambda: Softmax(sharpening=1.7, temperature=0.8),
    "relu": ReLU,
    "uniform": Uniform,
    "differential": lambda: Differential(sharpening=1.3),
    "differential_norm": lambda: Differential(head_norm=HeadNorm(HEADS)),
}
WEIGHTINGS = ["keep", "renormalize", "binary"]
SPARSIFIERS = {
    "none": lambda w: None,
    "relu": lambda w: sparsify.ReLU(0.15, train_threshold=True),
    "silu": lambda w: sparsify.SiLU(0.15, train_threshold=True),
    "softplus": lambda w: sparsify.Softplus(0.15, train_threshold=True),
    "sharp_softplus": lambda w: sparsify.Softplus(0.15, sharpness=10.0),
    "sigmoid": lambda w: sparsify.Sigmoid(0.15, train_threshold=True),
    "flow": lambda w: sparsify.Flow(0.15, train_threshold=True),
    "silu_plus_binary": lambda w: sparsify.SiLUPlusBinary(0.15, binary=0.5),
    "silu_below": lambda w: sparsify.BelowAbove(0.15, below="silu"),
    "softplus_below": lambda w: sparsify.BelowAbove(0.15, below="softplus"),
    "relu_below": lambda w: sparsify.BelowAbove(0.15, below="relu"),
    "threshold": lambda w: sparsify.Threshold(0.12, weighting=w),
    "top_k": lambda w: sparsify.TopK(2, weighting=w),
    "top_many": lambda w: sparsify.TopK(50, weighting=w),
    "top_fraction": lambda w: sparsify.TopK(fraction=0.4, weighting=w),
    "scaled_top_k": lambda w: sparsify.ScaledTopK(0.3, threshold=0.05, weighting=w),
    "window": lambda w: sparsify.Window(2, weighting=w),
    "drop_sinks": lambda w: sparsify.DropSinks(1, weighting=w),
    "chain": lambda w: sparsify.Chain(
        [sparsify.Threshold(0.05), sparsify.DropSinks(1), sparsify.TopK(3, weighting=w)]
    ),
}
# What looks at positions in the sequence is not indifferent to the order of the nodes.
BY_POSITION = {"scaled_top_k", "window", "drop_sinks", "chain", "distance"}


@dataclass
class Spec:
    """One configuration."""

    scope: str | tuple = "causal"  # as scope_of takes it
    score: str = "dot_product"
    normalize: str = "softmax"
    sparsify: str = "none"
    weighting: str = "keep"
    given: bool = False
    hops: int = 1
    lengths: list[int] = field(default_factory=lambda: [5, 1, 9])
    seed: int = 0

    def build(self) -> AttentionAdjacency:
        normalize = NORMALIZERS[self.normalize]()
        adjacency = AttentionAdjacency(
            score=SCORES[self.score](normalize.maps),
            normalize=normalize,
            sparsify=SPARSIFIERS[self.sparsify](self.weighting),
            given=AddInputGraph(HEADS, weight=0.7) if self.given else None,
            hops=self.hops,
        )
        return adjacency.double()

    @property
    def is_permutable(self) -> bool:
        by_position = {self.sparsify, self.score} & BY_POSITION
        return names_in(self.scope) <= PERMUTABLE and not by_position


def scopes(names):
    name, sign = st.sampled_from(sorted(names)), st.sampled_from("|&")
    two = st.tuples(sign, name, name)
    return name | two | st.tuples(sign, two, name)


def specs(names=SCOPES):
    spec = st.builds(
        Spec,
        scope=scopes(names),
        # What is used most is met most.
        score=st.just("dot_product") | st.sampled_from([*SCORES]),
        normalize=st.just("softmax") | st.sampled_from([*NORMALIZERS]),
        sparsify=st.sampled_from([*SPARSIFIERS]),
        weighting=st.sampled_from(WEIGHTINGS),
        given=st.booleans(),
        hops=st.sampled_from([1, 1, 1, 2]),
        lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4),
        seed=st.integers(0, 2**16),
    )
    # Two maps of scores are dot products.
    return spec.filter(lambda s: not s.normalize.startswith("diff") or s.score == "dot_product")


def inputs(lengths):
    """Features, bonds with attributes, and angles of a batch of graphs."""
    ptr = torch.tensor([0, *lengths]).cumsum(0)
    ends = []
    for start, length in zip(ptr.tolist(), lengths, strict=False):
        if length > 1:
            ends.append(start + torch.randint(0, length, (2, 2 * length)))
    edge_index = torch.cat(ends, dim=1) if ends else torch.empty(2, 0, dtype=torch.long)
    attr = torch.randn(edge_index.size(1), 3, dtype=torch.float64)
    pos = torch.cat([torch.arange(length) for length in lengths])
    angles = Rotary(WIDTH // HEADS)(pos, dtype=torch.float64)
    x = torch.randn(int(ptr[-1]), WIDTH, dtype=torch.float64)
    return x, ptr, InputGraph(edge_index, attr), angles


def apply(graph, operation, x):
    if operation in ("degree", "count"):
        return getattr(graph, operation)().expand(x.size(0), HEADS).to(x.dtype)
    out = getattr(graph, operation)(x.unflatten(-1, (HEADS, -1)))
    return torch.cat(out, dim=-1) if isinstance(out, tuple) else out


def forms_of(adjacency, scope):
    """The forms that a configuration has, by how to get them."""

    def as_form(form):
        def make(*args):
            adjacency.form = form
            return adjacency(*args)

        return make

    def definition(x, scope, angles):
        """Every candidate written out, whatever the scope."""
        scores = adjacency.normalize.scale(adjacency.score(x, angles, scope)).compute()
        graph = adjacency.written_out(scores.split(adjacency.normalize.maps), scope, HEADS)
        graph = graph if adjacency.given is None else adjacency.given(graph, scope)
        return HopAdjacency(graph, adjacency.hops)

    forms = {"definition": definition, "auto": as_form("auto")}
    forms |= {form: as_form(form) for form in ("edges", "dense")}
    if adjacency.parts.is_softmax and scope.fusable:
        forms["fused"] = as_form("fused")
    return forms


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Long sequences are cut into blocks; here short ones are, so that seams are met."""
    monkeypatch.setattr(scope.base, "BLOCK", 60)
    monkeypatch.setattr(PairLayout, "at_once", 100)
    monkeypatch.setattr(choice, "SHORT", 6)


EXAMPLES = settings(max_examples=150, deadline=None)


@given(spec=specs(), operation=st.sampled_from(OPERATIONS))
@EXAMPLES
def test_law_1_forms_agree(spec, operation):
    forms_agree(spec, operation)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("name", SPARSIFIERS)
@pytest.mark.parametrize("scope", ["causal", "full"])
def test_law_1_for_every_sparsifier(name, scope, weighting):
    for operation in ("sum", "max", "moments"):
        spec = Spec(scope=scope, sparsify=name, weighting=weighting, lengths=[7, 0, 3, 12])
        forms_agree(spec, operation)


def forms_agree(spec, operation):
    torch.manual_seed(spec.seed)
    adjacency = spec.build()
    x, ptr, bonds, angles = inputs(spec.lengths)
    batch = scope_of(spec.scope)(ptr, given=bonds)
    results = {}
    for name, form in forms_of(adjacency, batch).items():
        results[name] = outputs_and_gradients(
            adjacency,
            x,
            lambda x, form=form: apply(form(x, batch, angles), operation, x) + 0 * x.sum(),
        )
    expected = results["definition"]
    for name, result in results.items():
        assert all(value.isfinite().all() for value in result.values()), name
        # A parameter that has no say has no gradient in one form, and one of 0 in another.
        for key in expected.keys() ^ result.keys():
            either = expected if key in expected else result
            expected, result = (
                {key: torch.zeros_like(either[key]), **found} for found in (expected, result)
            )
        assert_same(expected, result, 1e-9)


@given(spec=specs())
@EXAMPLES
def test_law_4_causality(spec):
    if not is_causal(spec.scope):
        spec.scope = ("&", "causal", spec.scope)
    torch.manual_seed(spec.seed)
    adjacency = spec.build()
    x, ptr, bonds, angles = inputs([9])
    batch = scope_of(spec.scope)(ptr, given=bonds)
    before = apply(adjacency(x, batch, angles), "sum", x)
    for node in range(9):
        changed = x.clone()
        changed[node] += torch.randn(WIDTH, dtype=x.dtype)
        after = apply(adjacency(changed, batch, angles), "sum", changed)
        assert torch.equal(after[:node], before[:node]), f"node {node} leaks into the past"


@given(spec=specs(), operation=st.sampled_from(OPERATIONS))
@EXAMPLES
def test_law_5_batch_invariance(spec, operation):
    torch.manual_seed(spec.seed)
    adjacency = spec.build()
    x, ptr, bonds, angles = inputs(spec.lengths)
    together = apply(adjacency(x, scope_of(spec.scope)(ptr, given=bonds), angles), operation, x)
    for start, stop in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True):
        mine = (bonds.edge_index[1] >= start) & (bonds.edge_index[1] < stop)
        own = InputGraph(bonds.edge_index[:, mine] - start, bonds.edge_attr[mine])
        batch = scope_of(spec.scope)(torch.tensor([0, stop - start]), given=own)
        alone = apply(
            adjacency(x[start:stop], batch, angles[:, start:stop]), operation, x[start:stop]
        )
        torch.testing.assert_close(together[start:stop], alone, rtol=1e-9, atol=1e-9)


@given(
    spec=specs(PERMUTABLE).filter(lambda spec: spec.is_permutable),
    operation=st.sampled_from(OPERATIONS),
)
@EXAMPLES
def test_law_6_relabelling_permutes_the_results(spec, operation):
    # Where all weights are equal, top-k cuts through ties: by index, and not the same after that.
    if spec.score == "constant" or spec.normalize == "uniform":
        spec.sparsify = "none"
    torch.manual_seed(spec.seed)
    adjacency = spec.build()
    x, ptr, bonds, _ = inputs(spec.lengths)
    order = torch.cat(
        [
            start + torch.randperm(length)
            for start, length in zip(ptr.tolist(), spec.lengths, strict=False)
        ]
    )
    relabelled = InputGraph(order.argsort()[bonds.edge_index], bonds.edge_attr)
    make = scope_of(spec.scope)
    plain = apply(adjacency(x, make(ptr, given=bonds)), operation, x)
    permuted = apply(adjacency(x[order], make(ptr, given=relabelled)), operation, x[order])
    torch.testing.assert_close(permuted, plain[order], rtol=1e-9, atol=1e-9)


@given(spec=specs())
@EXAMPLES
def test_law_7_every_edge_counts(spec):
    torch.manual_seed(spec.seed)
    adjacency = spec.build()
    x, ptr, bonds, angles = inputs(spec.lengths)
    graph = adjacency(x, scope_of(spec.scope)(ptr, given=bonds), angles).to_edges().of_heads()
    weight = graph.edge_weight.detach().requires_grad_()
    graph = graph.with_weight(weight)
    features = torch.rand_like(x).unflatten(-1, (HEADS, -1)) + 0.5
    out = graph.sum(features)
    if not weight.numel():
        return
    (gradient,) = torch.autograd.grad(out.square().sum(), weight)
    reached = out[graph.edge_index[1], graph.head]  # what each edge arrives at
    expected = 2 * (reached * features[graph.edge_index[0], graph.head]).sum(-1)
    torch.testing.assert_close(gradient.detach(), expected.detach())
    assert (gradient[reached.detach().abs().sum(-1) > 1e-12] != 0).all()
