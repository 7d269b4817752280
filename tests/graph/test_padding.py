import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gia.graph.padding import PAIRS_PER_CALL, Padding

CPU = torch.device("cpu")


@given(sizes=st.lists(st.integers(0, 300), max_size=12))
@settings(max_examples=80, deadline=None)
def test_there_and_back(sizes):
    padding = Padding(sizes, CPU)
    x = torch.randn(sum(sizes), 2, dtype=torch.float64, requires_grad=True)
    parts = padding.pad(x)
    assert [part.shape[:2] for part in parts] == [bucket.mask.shape for bucket in padding.buckets]
    for part, bucket in zip(parts, padding.buckets, strict=True):
        assert not part[~bucket.mask].any()
        assert bucket.full == bool(bucket.mask.all())
    assert sum(int(bucket.mask.sum()) for bucket in padding.buckets) == sum(sizes)
    if not parts:
        return
    back = padding.unpad(parts)
    assert torch.equal(back, x)
    grad = torch.randn_like(x)
    back.backward(grad)
    assert torch.equal(x.grad, grad)


def test_each_graph_keeps_its_order():
    sizes = [2, 0, 500, 3]
    x = torch.arange(505)
    large, small = Padding(sizes, CPU).pad(x)
    assert large.tolist() == [list(range(2, 502))]
    assert small.tolist() == [[502, 503, 504], [0, 1, 0]]


def test_equal_sizes_are_not_copied():
    x = torch.randn(6, 5)
    padding = Padding([3, 3], CPU)
    (part,) = padding.pad(x)
    assert part.data_ptr() == x.data_ptr()
    assert padding.unpad([part]).data_ptr() == x.data_ptr()


@given(sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_a_bucket_wastes_less_than_a_call_costs(sizes):
    for bucket in Padding(sizes, CPU).buckets:
        length = bucket.mask.size(1)
        used = bucket.mask.sum(1).square().sum()
        assert bucket.mask.size(0) * length**2 - int(used) <= PAIRS_PER_CALL


def test_similar_sizes_share_a_bucket():
    assert len(Padding([20, 21] * 50, CPU).buckets) == 1
    assert len(Padding([1000, 20, 20], CPU).buckets) == 2


@pytest.mark.parametrize("sizes", [[1000, 20, 20], [3, 0, 5]])
def test_one_bucket_if_wanted(sizes):
    padding = Padding(sizes, CPU, bucketed=False)
    assert len(padding.buckets) == 1
    x = torch.randn(sum(sizes), 2)
    assert torch.equal(padding.unpad(padding.pad(x)), x)


def test_a_few_large_graphs_stay_among_themselves():
    buckets = Padding([90, *[29] * 20, *[12] * 30], CPU).buckets
    assert [tuple(bucket.mask.shape) for bucket in buckets] == [(1, 90), (20, 29), (30, 12)]


@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=12), heads=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_heads_there_and_back(sizes, heads):
    padding = Padding([*sizes, 1], CPU)
    x = torch.randn(sum(sizes) + 1, heads, 2, dtype=torch.float64, requires_grad=True)
    parts = padding.pad_heads(x)
    for (part,), bucket in zip(parts, padding.buckets, strict=True):
        assert part.shape == (len(bucket.sizes), heads, bucket.mask.size(1), 2)
        for graph, (first, size) in enumerate(zip(bucket.first, bucket.sizes, strict=True)):
            own = x[first : first + size].transpose(0, 1)
            assert torch.equal(part[graph, :, :size], own)
            assert torch.equal(part[graph, :, size:], own[:, -1:].expand_as(part[graph, :, size:]))
    back = padding.unpad_heads([part for (part,) in parts])
    assert torch.equal(back, x)
    grad = torch.randn_like(x)
    back.backward(grad)
    assert torch.equal(x.grad, grad)


@pytest.mark.parametrize("sizes", [[3, 3], [5, 0, 2, 150, 9, 1], [0, 4]])
@pytest.mark.parametrize("bucketed", [True, False])
def test_edges_are_found_in_the_buckets_pairs(sizes, bucketed):
    padding, heads = Padding(sizes, torch.device("cpu"), bucketed=bucketed), 3
    graph = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    source, target = edge_index = torch.randint(sum(sizes), (2, 400))
    number = torch.arange(sum(sizes) * heads).view(-1, heads, 1)
    ends = padding.pad_heads(number)  # [B, H, L, 1], which of all nodes and heads
    found = []
    for (edge, place), (rows,), bucket in zip(
        padding.pairs(edge_index, heads), ends, padding.buckets, strict=True
    ):
        length = bucket.mask.size(1)
        assert torch.equal(
            rows.flatten()[place // length] // heads, target[edge, None].repeat(1, 3)
        )
        head = torch.arange(heads).expand(edge.numel(), -1)
        assert torch.equal(rows.flatten()[place // length] % heads, head)
        row = place // length // length * length + place % length
        assert torch.equal(rows.flatten()[row] // heads, source[edge, None].repeat(1, 3))
        assert torch.equal(edge, edge.sort().values)
        found.append(edge)
    within = (graph[source] == graph[target]).nonzero().squeeze(1)
    assert torch.equal(torch.cat(found).sort().values, within)
