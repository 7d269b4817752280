import pytest
import torch
from laws import layer_inputs, make_adjacency, make_model, sequences
from torch_geometric.data import Batch, Data

from gia.attention import Cache, CausalScope, FullScope


def scope_of(*sizes):
    return CausalScope(torch.tensor([0, *sizes]).cumsum(0))


def test_what_cannot_be_continued_is_named():
    with pytest.raises(ValueError, match="only a causal scope can be continued, got FullScope"):
        Cache(1, 8).extend(FullScope(torch.tensor([0, 2])))
    cache = Cache(1, 8)
    cache.extend(scope_of(3, 5))
    with pytest.raises(ValueError, match="holds 2 sequences, got 1"):
        cache.extend(scope_of(1))
    with pytest.raises(ValueError, match=r"at least one new node, got \[0, 2\]"):
        cache.extend(scope_of(0, 2))
    with pytest.raises(ValueError, match=r"by as many nodes each, got \[1, 2\]"):
        cache.extend(scope_of(1, 2))
    with pytest.raises(ValueError, match="room for 8 nodes a sequence, got 9: give it a higher"):
        cache.extend(scope_of(4, 4))
    assert cache.lengths == [3, 5]
    cache.extend(scope_of(3, 3))
    assert cache.lengths == [6, 8]


def test_a_cache_does_not_hold_the_graph():
    x, scope, _ = layer_inputs([3], CausalScope)
    cache = Cache(1, 8)
    cache.extend(scope)
    graph = make_adjacency(16, 2)(x, scope, None, cache.memories[0])
    with pytest.raises(ValueError, match=r"use model\.graphs\(data\).*use_cache=False"):
        graph.to_edges()


def test_room_is_taken_once():
    """The tensors of a memory stay where they are, whatever is added."""
    adjacency = make_adjacency(16, 2)
    cache = Cache(1, 12)
    places = []
    with torch.no_grad():
        for length in (4, 1, 1, 3):
            x, scope, _ = layer_inputs([length, length], CausalScope)
            cache.extend(scope)
            graph = adjacency(x, scope, None, cache.memories[0])
            x = x.unflatten(-1, (2, -1))
            graph.moments(x), graph.max(x), graph.min(x)
            places.append([tensor.data_ptr() for tensor in cache.memories[0].tensors])
    # Keys, x, x^2, the maximum and the maximum of -x.
    assert len(places[0]) == 5
    assert places[0] == places[1] == places[2] == places[3]


def test_a_memory_holds_no_gradients():
    adjacency = make_adjacency(16, 2)
    cache = Cache(1, 12)
    for length in (4, 1, 1):
        x, scope, _ = layer_inputs([length], CausalScope)
        cache.extend(scope)
        graph = adjacency(x.requires_grad_(), scope, None, cache.memories[0])
        x = x.unflatten(-1, (2, -1))
        graph.moments(x), graph.max(x)
    assert not any(tensor.requires_grad for tensor in cache.memories[0].tensors)


def test_a_cache_of_another_depth_is_named():
    (graph,) = sequences([3])
    with pytest.raises(ValueError, match="the cache is for 1 layers, the model has 2"):
        make_model("gin")(graph, Cache(1, 8))


def test_a_token_that_is_refused_leaves_the_cache_as_it_was():
    model = make_model("gin").eval()
    (graph,) = sequences([4])
    whole = model(graph)
    first, last = graph.clone(), graph.clone()
    first.token, first.seq_pos, first.num_nodes = graph.token[:3], graph.seq_pos[:3], 3
    last.token, last.seq_pos, last.num_nodes = graph.token[3:], graph.seq_pos[3:], 1
    cache = Cache(2, 4)
    with torch.no_grad():
        model(first, cache)
        wrong = last.clone()
        wrong.token = torch.tensor([1000])
        with pytest.raises(IndexError):
            model(wrong, cache)
        assert cache.lengths == [3]
        torch.testing.assert_close(model(last, cache), whole[3:])


@pytest.mark.parametrize("name", ["gin", "pna", "softmax"])
@torch.no_grad()
def test_branches_go_on_from_what_a_cache_holds(name):
    """Law 8, over several endings of one beginning, each longer than a block of new nodes."""
    model = make_model(name).eval().double()
    begun, *wholes = (graph for graph in sequences([4, 150, 150, 150]))
    cache = Cache(2, 150)

    def part(graphs, start, end):
        places = torch.arange(start, end)
        items = [
            Data(token=graph.token[start:end], seq_pos=places, num_nodes=end - start)
            for graph in graphs
        ]
        batch = Batch.from_data_list(items)
        batch.num_nodes_per_graph = [end - start] * len(graphs)
        return batch

    for whole in wholes:
        whole.token[:4] = begun.token
    model(part([begun] * 2, 0, 3), cache)
    for ends in (wholes[:2], wholes[2:]):  # the second where the first has been
        found = model(part(ends, 3, 150), cache.branch(len(ends)))
        expected = torch.cat([model(part([whole], 0, 150))[3:] for whole in ends])
        torch.testing.assert_close(found, expected)
        assert cache.lengths == [3, 3]
    model(part([begun] * 2, 3, 4), cache)
    found = model(part(wholes[1:], 4, 100), cache.branch(2))
    expected = torch.cat([model(part([whole], 0, 100))[4:] for whole in wholes[1:]])
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match="holds 2 sequences, asked for 3"):
        cache.branch(3)
