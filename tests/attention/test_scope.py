import pytest
import torch
from laws import sequences

from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    DotProductScore,
    FullScope,
    GlobalScope,
    InputGraph,
    IntersectionScope,
    NeighborScope,
    Softmax,
    UnionScope,
    WindowScope,
)
from gia.attention.scope import base
from gia.nn import Block, GINAttention, LanguageModel, NodeEncoder, Transformer

PTR = torch.tensor([0, 3, 3, 4, 8])


def pairs(scope):
    return {tuple(pair) for pair in scope.edge_index().T.tolist()}


def test_causal_pairs_are_the_past_of_the_same_graph():
    graph = [0, 0, 0, 2, 3, 3, 3, 3]
    expected = {(j, i) for i in range(8) for j in range(8) if j <= i and graph[i] == graph[j]}
    assert pairs(CausalScope(PTR)) == expected


def test_full_pairs_are_the_same_graph():
    graph = [0, 0, 0, 2, 3, 3, 3, 3]
    expected = {(j, i) for i in range(8) for j in range(8) if graph[i] == graph[j]}
    assert pairs(FullScope(PTR)) == expected


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
def test_edges_are_ordered_by_target_then_source(scope):
    source, target = scope(PTR).edge_index()
    key = target * 8 + source
    assert torch.equal(key, key.sort().values)
    assert torch.equal(target.bincount(minlength=8), scope(PTR).count())


@pytest.mark.parametrize("ptr", [[1, 3], [0, 3, 2], []])
def test_a_wrong_ptr_is_named(ptr):
    with pytest.raises(ValueError, match="ptr must start at 0"):
        CausalScope(torch.tensor(ptr, dtype=torch.long))


def test_sizes_that_do_not_fit_are_named():
    assert CausalScope(PTR, [3, 0, 1, 4]).num_nodes == 8
    with pytest.raises(ValueError, match="2 sizes do not fit the 4 graphs"):
        CausalScope(PTR, [4, 4])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("window", [0, 1, 100])
def test_windows_are_neighbours_in_the_same_graph(window, causal):
    graph = [0, 0, 0, 2, 3, 3, 3, 3]
    expected = {
        (j, i)
        for i in range(8)
        for j in range(8)
        if graph[i] == graph[j] and abs(i - j) <= window and (j <= i or not causal)
    }
    scope = WindowScope(PTR, window=window, causal=causal)
    assert pairs(scope) == expected
    assert torch.equal(scope.edge_index()[1].bincount(minlength=8), scope.count())


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("nodes", [1, 2, 100])
def test_the_first_nodes_see_all_and_are_seen_by_all(nodes, causal):
    start = {0: 0, 1: 0, 2: 0, 3: 3, 4: 4, 5: 4, 6: 4, 7: 4}
    expected = {
        (j, i)
        for i in range(8)
        for j in range(8)
        if start[i] == start[j]
        and (j - start[j] < nodes or i - start[i] < nodes or i == j)
        and (j <= i or not causal)
    }
    scope = GlobalScope(PTR, nodes=nodes, causal=causal)
    assert pairs(scope) == expected
    assert scope.edge_index().size(1) == len(expected)
    assert torch.equal(scope.edge_index()[1].bincount(minlength=8), scope.count())
    key = scope.edge_index()[1] * 8 + scope.edge_index()[0]
    assert torch.equal(key, key.sort().values)


BONDS = torch.tensor([[0, 1, 0, 4, 5, 6], [1, 2, 1, 5, 6, 5]])  # 0 -> 1 twice
EDGES = {(0, 1), (1, 2), (4, 5), (5, 6), (6, 5)}
LOOPS = {(i, i) for i in range(8)}


def test_given_pairs_are_the_edges_of_the_data_once_each():
    given = InputGraph(BONDS)
    assert pairs(NeighborScope(PTR, given=given)) == EDGES | LOOPS
    assert pairs(NeighborScope(PTR, given=given, self_loops=False)) == EDGES
    assert NeighborScope(PTR, given=given).edge_index().size(1) == 5 + 8
    expected = [1, 2, 2, 1, 1, 3, 2, 1]
    assert NeighborScope(PTR, given=given).count().tolist() == expected


def test_given_pairs_along_several_edges():
    two = NeighborScope(PTR, given=InputGraph(BONDS), self_loops=False, hops=2)
    assert pairs(two) == EDGES | {(0, 2), (4, 6)}  # 5 -> 6 -> 5 is no self loop
    many = NeighborScope(PTR, given=InputGraph(BONDS), hops=9)
    assert pairs(many) == EDGES | {(0, 2), (4, 6)} | LOOPS


LEAVES = {
    "causal": CausalScope.of(),
    "full": FullScope.of(),
    "window": WindowScope.of(window=1),
    "near": WindowScope.of(window=1, causal=False),
    "global": GlobalScope.of(),
    "first": GlobalScope.of(causal=True),
    "given": NeighborScope.of(),
    "bonds": NeighborScope.of(self_loops=False, hops=2),
}


@pytest.mark.parametrize("left", LEAVES)
@pytest.mark.parametrize("right", LEAVES)
def test_composed_pairs_are_those_of_the_parts(left, right):
    given = InputGraph(BONDS)
    parts = [LEAVES[name](PTR, given=given) for name in (left, right)]
    one, other = map(pairs, parts)
    for made, scope, expected in (
        (LEAVES[left] | LEAVES[right], parts[0] | parts[1], one | other),
        (LEAVES[left] & LEAVES[right], parts[0] & parts[1], one & other),
    ):
        for found in (made(PTR, given=given), scope):
            assert pairs(found) == expected
            assert found.edge_index().size(1) == len(expected)
            key = found.edge_index()[1] * 8 + found.edge_index()[0]
            assert torch.equal(key, key.sort().values)
            assert torch.equal(found.edge_index()[1].bincount(minlength=8), found.count())
            assert not found.causal or all(j <= i for j, i in expected)
            assert not found.self_loops or expected >= LOOPS
            whole = CausalScope(PTR) if found.causal else FullScope(PTR)
            assert not found.fusable or pairs(whole) == expected
            every = torch.tensor(sorted(pairs(FullScope(PTR)))).T
            allowed = found.allows(*every)
            assert {tuple(pair) for pair in every[:, allowed].T.tolist()} == expected


def test_a_union_is_causal_if_all_are_and_an_intersection_if_one_is():
    past, near = WindowScope(PTR, window=1), WindowScope(PTR, window=1, causal=False)
    first = GlobalScope(PTR, causal=True)
    assert (past | first).causal
    assert not (past | near).causal
    assert (past & near).causal
    assert not (near & near).causal
    assert (CausalScope(PTR) | past).fusable
    assert (CausalScope(PTR) & FullScope(PTR)).fusable
    assert not (past | first).fusable


def test_classes_and_what_makes_scopes_compose():
    for make in (CausalScope & WindowScope.of(window=2), WindowScope.of(window=2) & CausalScope):
        assert pairs(make(PTR)) == pairs(WindowScope(PTR, window=2))
    made = CausalScope | GlobalScope.of(causal=True)
    assert pairs(made(PTR)) == pairs(CausalScope(PTR))
    assert (
        repr(WindowScope.of(window=2) | GlobalScope.of())
        == "UnionScope.of(parts=[WindowScope.of(window=2), GlobalScope.of()])"
    )


def test_what_does_not_compose_is_named():
    with pytest.raises(ValueError, match="UnionScope needs at least one scope in parts"):
        UnionScope(PTR, parts=[])
    other = FullScope(torch.tensor([0, 8]))
    with pytest.raises(ValueError, match=r"different batches .* \[3, 0, 1, 4\] and \[8\] nodes"):
        CausalScope(PTR) & other
    with pytest.raises(ValueError, match="nodes must be at least 1, got 0"):
        GlobalScope(PTR, nodes=0)
    with pytest.raises(ValueError, match="the data has no edge_index"):
        IntersectionScope(PTR, parts=[FullScope, NeighborScope])


def test_a_language_model_refuses_a_scope_that_looks_ahead():
    adjacency = AttentionAdjacency(score=DotProductScore(16, 2), normalize=Softmax())
    block = Block(16, attention=GINAttention(16, 2, adjacency=adjacency))
    parts = {"vocab_size": 9, "width": 16, "heads": 2, "depth": 1, "block": block}
    (data,) = sequences([5], vocab_size=9)
    past = WindowScope.of(window=2) | GlobalScope.of(causal=True)
    assert LanguageModel(scope=past, **parts)(data).shape == (5, 9)
    with pytest.raises(ValueError, match="UnionScope is not causal here"):
        LanguageModel(scope=WindowScope.of(window=2) | GlobalScope.of(), **parts)(data)


@pytest.mark.parametrize("sizes", [[7, 7], [7, 5, 0, 2]])
@pytest.mark.parametrize(
    "make",
    [
        CausalScope,
        FullScope,
        lambda ptr: WindowScope(ptr, window=2),
        lambda ptr: NeighborScope(
            ptr, given=InputGraph(torch.tensor([[1, 2], [0, 1]])), self_loops=False
        ),
        GlobalScope.of(nodes=2),
        GlobalScope.of(causal=True),
        WindowScope.of(window=1, causal=False) | GlobalScope.of(),
        WindowScope.of(window=1) | CausalScope.of(),
        WindowScope.of(window=1) | FullScope.of(),
        CausalScope.of() & FullScope.of(),
        FullScope.of() & FullScope.of(),
        CausalScope.of() & GlobalScope.of(nodes=3) & WindowScope.of(window=2),
    ],
)
def test_what_is_known_of_a_block_without_its_mask_is_so(monkeypatch, make, sizes):
    monkeypatch.setattr(base, "BLOCK", 40)
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    scope = make(ptr)
    seen = 0
    for block in scope.blocks(2):
        values = torch.randn(1, *block.shape[1:])  # to be broadcast
        allowed = torch.ones(block.shape) if block.allowed is None else block.allowed
        allowed = allowed.bool().expand(block.shape)
        assert allowed[..., : block.free].all()
        assert not block.occupied or allowed.any(-1).all()
        assert torch.equal(block.fill(values, 9.0).expand(block.shape), values.where(allowed, 9.0))
        weight = block.softmax(values)
        assert not weight.expand(block.shape)[~allowed].any()
        torch.testing.assert_close(
            weight.sum(-1).expand(block.shape[:-1]), allowed.any(-1).to(weight.dtype)
        )
        seen += int(allowed.sum())
    assert seen == 2 * scope.edge_index().size(1)
    if make is CausalScope:
        assert any(block.free for block in scope.blocks(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.bool])
def test_edges_of_another_type_are_named(dtype):
    with pytest.raises(ValueError, match=rf"type torch.int64, got {dtype}"):
        CausalScope(PTR, given=InputGraph(BONDS.to(dtype)))


@pytest.mark.parametrize(
    ("edge_index", "edge_attr", "message"),
    [
        ([[0, 8], [1, 2]], None, "names node 8, but there are 8 nodes"),
        ([[0, 1], [-1, 2]], None, "names node -1, but there are 8 nodes"),
        ([[0, 2], [1, 4]], None, "from node 2 to node 4 joins two graphs"),
        ([[0, 1], [1, 2], [2, 3]], None, r"shape \[2, E\], got \[3, 2\]"),
        ([0, 1], None, r"shape \[2, E\], got \[2\]"),
        ([[0], [1]], torch.rand(2, 3), "edge_attr has 2 rows for 1 edges"),
        ([[0], [1]], torch.rand(0), "edge_attr has 0 rows for 1 edges"),
    ],
)
@pytest.mark.parametrize("scope", [CausalScope, NeighborScope])
def test_wrong_edges_are_named(scope, edge_index, edge_attr, message):
    with pytest.raises(ValueError, match=message):
        scope(PTR, given=InputGraph(torch.tensor(edge_index), edge_attr))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WindowScope(PTR, window=-1), "window must not be negative, got -1"),
        (lambda: NeighborScope(PTR, given=None), "the data has no edge_index"),
        (
            lambda: NeighborScope(PTR, given=InputGraph(BONDS), hops=0),
            "hops must be at least 1, got 0",
        ),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_layer_without_edges_says_so():
    adjacency = AttentionAdjacency(score=DotProductScore(16, 2), normalize=Softmax())
    block = Block(16, attention=GINAttention(16, 2, adjacency=adjacency))
    parts = {"encoder": NodeEncoder(16, tokens=9), "head": torch.nn.Identity(), "width": 16}
    model = Transformer(block=block, depth=1, scope=NeighborScope, **parts)
    (data,) = sequences([5], vocab_size=9)
    with pytest.raises(ValueError, match="own edges, but the data has no edge_index"):
        model(data)
    data.edge_index = torch.tensor([[0, 1], [1, 2]])
    assert model(data).shape == (5, 16)
