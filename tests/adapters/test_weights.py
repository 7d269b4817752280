"""From attention to edges: as the equations say, and of a target's own candidates alone."""

import itertools
import math

import pytest
import torch
from attention_maps import make_maps

from gia.adapters import EdgeWeights, SparseGINConfig

HEADS = 4
COMBINE = {
    "sum": {},
    "mean": {"cut": 0.55},
    "any": {"alpha": None, "threshold": 0.2, "cut": 0.5},
    "learned": {},
    "per_head": {},
}
EDGES = {
    "cut": {},
    "all": {"cut": None},
    "top_k": {"top_k": 3},
    "attention itself": {"alpha": 0, "cut": 0.2},
}
PLACES = {
    "everywhere": {},
    "no self loops": {"self_loops": False},
    "no sinks": {"sinks": 2},
    "published": {"edge_direction": "published"},
    "no loops, no sinks": {"self_loops": False, "sinks": 1},
}
DISTANCES = [None, "sigmoid", "exp", "power"]

pytestmark = pytest.mark.usefixtures("float64")


def make_weights(*options, **more):
    config = SparseGINConfig.published(
        **{key: value for part in options for key, value in part.items()}, **more
    )
    weights = EdgeWeights(config, HEADS)
    for parameter in weights.parameters():
        if parameter.dim():  # the network that weighs heads, not as it starts
            torch.nn.init.normal_(parameter, std=0.7)
    return weights


def all_combinations():
    for combine, edges, places, distance in itertools.product(COMBINE, EDGES, PLACES, DISTANCES):
        if (combine, edges) != ("any", "attention itself"):  # which it has already
            options = {**COMBINE[combine], **EDGES[edges], **PLACES[places]}
            yield {"combine": combine, "distance": distance, "distance_strength": 0.3, **options}


@torch.no_grad()
def by_definition(weights, maps):
    """A' of all pairs, 0 where there is no edge, ``[B, Q, K]`` or ``[B, H, Q, K]``."""
    config, maps_of = weights.config, maps.attention.detach()
    if config.combine == "sum":
        a = maps_of.sum(1).clamp(max=1)
    elif config.combine == "mean":
        a = maps_of.mean(1)
    elif config.combine == "any":
        a = ((maps_of - config.threshold) / config.tau).sigmoid().amax(1)
    elif config.combine == "learned":
        logits = weights.head_network(maps_of.movedim(1, -1))
        a = (HEADS * logits.softmax(-1) * maps_of.movedim(1, -1)).sum(-1).clamp(max=1)
    else:
        a = maps_of
    distance, s = maps.distance.abs(), config.distance_strength
    near = {
        None: torch.ones_like(a[:1]),
        "sigmoid": 2 / (1 + (s * distance).exp()),
        "exp": (-s * distance).exp(),
        "power": 1 / (s * distance + 1) ** s,
    }[config.distance]
    allowed = maps.allowed if a.dim() == 4 else maps.allowed[:, 0]
    near = near.unsqueeze(1) if near.dim() == 3 and a.dim() == 4 else near
    a = a * near
    if config.alpha:
        a = (config.alpha * (a - config.threshold)).sigmoid()
    itself = (maps.distance == 0).view(allowed.shape)
    position = maps.position.view(2, *[1] * (a.dim() - 2), -1)
    possible = allowed & (itself | (position >= config.sinks))
    if not config.self_loops:
        possible = possible & ~itself
    if config.edge_direction == "published":
        possible = possible & itself
    possible = possible.expand(a.shape)
    if config.top_k is None:
        return a.masked_fill(~(possible & (a > (-1 if config.cut is None else config.cut))), 0)
    kept = torch.zeros_like(a)
    for place in itertools.product(*map(range, a.shape[:-1])):
        candidates = possible[place].nonzero().flatten().tolist()
        ranked = sorted(candidates, key=lambda j: (float(a[place][j]), j), reverse=True)
        kept[place][ranked[: config.top_k]] = a[place][ranked[: config.top_k]]
    return kept


@pytest.mark.parametrize(
    "options", list(all_combinations()), ids=lambda o: "-".join(map(str, o.values()))
)
def test_edges_and_weights_are_as_defined(options):
    weights, maps = make_weights(options), make_maps()
    expected = by_definition(weights, maps)
    edge = expected != 0
    assert torch.equal(maps.keep(weights), edge.any(1) if edge.dim() == 4 else edge)
    batch, target, source = maps.keep(weights).nonzero().unbind(1)
    wanted = expected[batch, ..., target, source]
    found = maps.edges(weights).edge_weight
    assert found.shape == (
        (len(batch), HEADS) if options["combine"] == "per_head" else (len(batch),)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    if options.get("edge_direction") == "published":
        assert bool((batch.numel() == 0) | (target == source).all())


@pytest.mark.parametrize("combine", COMBINE)
@pytest.mark.parametrize("edges", ["cut", "top_k"])
def test_a_row_needs_nothing_but_itself(combine, edges):
    """One query at a time, and with the keys of its past alone: the same edges."""
    options = {**COMBINE[combine], **EDGES[edges]}
    weights, maps = make_weights(options, combine=combine, distance="power", sinks=1), make_maps()
    keep, weight = maps.keep(weights), maps.edges(weights)
    for query in range(9):
        part = maps.part(slice(query, query + 1), slice(0, query + 1))
        assert torch.equal(part.keep(weights)[:, 0], keep[:, query, : query + 1])
        assert not keep[:, query, query + 1 :].any()
        here = weight.edge_index[1] % 9 == query
        torch.testing.assert_close(part.edges(weights).edge_weight, weight.edge_weight[here])


@pytest.mark.parametrize("combine", COMBINE)
@pytest.mark.parametrize("edges", ["cut", "top_k"])
def test_normalized_rows_sum_to_one(combine, edges):
    options = {**COMBINE[combine], **EDGES[edges]}
    weights = make_weights(options, combine=combine, normalize=True, self_loops=False)
    edges = make_maps().edges(weights)
    total = edges.degree()
    has_edges = edges.with_weight((edges.edge_weight != 0).double()).degree() > 0
    assert has_edges.any()
    assert not has_edges.all()
    torch.testing.assert_close(total, has_edges.double())


@pytest.mark.parametrize("combine", COMBINE)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("normalize", [False, True])
def test_gradients(combine, distance, normalize):
    options = {**COMBINE[combine], "alpha": 3.0, "cut": None}
    weights = make_weights(
        options, combine=combine, distance=distance, normalize=normalize, train_threshold=True
    )
    attention = (0.2 * torch.rand(7, HEADS)).requires_grad_()
    target = torch.tensor([0, 0, 1, 1, 1, 3, 3])
    distance = torch.arange(7)

    def weigh(attention, *parameters):
        return weights(attention, distance, target, 4)

    assert torch.autograd.gradcheck(weigh, (attention, *weights.parameters()))


def test_every_head_of_an_edge_counts():
    for combine in ("sum", "mean", "learned", "per_head"):
        weights = make_weights(COMBINE[combine], combine=combine)
        attention = (0.15 + 0.02 * torch.rand(5, HEADS)).requires_grad_()
        weights(attention, torch.arange(5), torch.arange(5), 5).sum().backward()
        assert bool((attention.grad != 0).all())


def test_without_edge_gradients_only_parameters_have_one():
    weights = make_weights(train_threshold=True, edge_gradients=False)
    attention = (0.02 * torch.rand(5, HEADS)).requires_grad_()
    weights(attention, torch.arange(5), torch.arange(5), 5).sum().backward()
    assert attention.grad is None
    assert weights.threshold.grad != 0


def test_a_new_learned_combination_is_the_sum():
    maps = make_maps()
    learned = EdgeWeights(SparseGINConfig.published(combine="learned"), HEADS)
    plain = EdgeWeights(SparseGINConfig.published(), HEADS)
    assert torch.equal(maps.keep(learned), maps.keep(plain))
    torch.testing.assert_close(maps.edges(learned).edge_weight, maps.edges(plain).edge_weight)


def test_where_published_edges_begin():
    """An edge is where the summed attention exceeds t + ln(1.5) / 10."""
    level = 0.1 + math.log(1.5) / 10
    summed = torch.tensor([level - 1e-9, level + 1e-9])
    attention = (summed / HEADS).expand(1, HEADS, 1, 2)
    ones = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    keep = make_weights().keep(attention, ones, torch.tensor([[[1, 0]]]))
    assert keep.tolist() == [[[False, True]]]


def test_half_precision_is_summed_in_float32():
    maps = make_maps()
    weights = make_weights()
    maps.attention = maps.attention.bfloat16()
    half, keep = maps.edges(weights), maps.keep(weights)
    assert half.edge_weight.dtype == torch.float32
    maps.attention = maps.attention.float()
    assert torch.equal(keep, maps.keep(weights))
    torch.testing.assert_close(half.edge_weight, maps.edges(weights).edge_weight)


def test_of_ties_the_latest_tokens_are_kept():
    """Sums above 1 are all 1, and so are their weights."""
    attention = torch.full((1, HEADS, 1, 6), 0.5)
    ones = torch.ones(1, 1, 1, 6, dtype=torch.bool)
    distance = torch.arange(5, -1, -1).view(1, 1, 6)
    for combine in ("sum", "per_head"):
        weights = make_weights(combine=combine, top_k=2)
        assert weights.keep(attention, ones, distance)[0, 0].tolist() == [False] * 4 + [True] * 2


def test_nan_is_seen():
    maps = make_maps()
    maps.attention[0, 1, 5, 2] = torch.nan
    for combine in ("sum", "per_head"):
        for options in EDGES.values():
            assert maps.edges(make_weights(options, combine=combine)).edge_weight.isnan().any()


def test_errors():
    maps = make_maps(heads=3)
    with pytest.raises(ValueError, match=r"\[B, H, Q, K\] with H = 4 heads, got \[2, 3, 9, 9\]"):
        maps.keep(make_weights())
    with pytest.raises(ValueError, match=r"\[E, H\] with H = 4 heads"):
        make_weights()(torch.rand(5, 3), torch.arange(5), torch.arange(5), 5)
    with pytest.raises(ValueError, match="heads must be at least 1"):
        EdgeWeights(SparseGINConfig(), 0)
    with pytest.raises(ValueError, match="sinks=1 needs source_position"):
        make_weights(sinks=1).keep(torch.rand(2, HEADS, 9, 9), maps.allowed, maps.distance)
