import pytest
import torch
from laws import ATTENTIONS, make_attention, make_model, sequences
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv

from gia.attention import Cache
from gia.nn import Block, LanguageModel, LinearMLP, ShallowMLP, SwiGLU


@pytest.mark.parametrize("name", ATTENTIONS)
def test_graphs_are_the_dynamic_edges_of_each_layer(name):
    model = make_model(name).eval()
    batch = Batch.from_data_list(sequences([4, 7]))
    layers = model.graphs(batch)
    assert len(layers) == 2
    for layer in layers:
        assert layer.edge_index.shape == (2, 4 * 5 // 2 + 7 * 8 // 2)
        assert layer.edge_weight.shape == (38, 2)
        source, target = layer.edge_index
        assert (source <= target).all()
        assert torch.equal(layer.batch[source], layer.batch[target])
        arriving = torch.zeros(11, 2).index_add(0, target, layer.edge_weight)
        torch.testing.assert_close(arriving, torch.ones(11, 2))
        assert torch.equal(layer.token, batch.token)
        # Each sequence can be taken out again, and other PyG layers read it.
        second = layer.to_data_list()[1]
        assert second.num_nodes == 7
        assert second.edge_index.max() == 6
        out = GCNConv(1, 3)(
            second.seq_pos.float().unsqueeze(1), second.edge_index, second.edge_weight[:, 0]
        )
        assert out.shape == (7, 3)
    torch.testing.assert_close(
        layers[0].to_data_list()[0].edge_weight, model.graphs(batch[0])[0].edge_weight
    )


def test_the_graphs_are_what_the_layer_uses():
    """Message passing over the returned edges is the model's own forward pass."""
    model = make_model("softmax").double().eval()
    (data,) = sequences([6])
    torch.set_default_dtype(torch.float64)
    (first, _) = model.graphs(data)
    torch.set_default_dtype(torch.float32)
    block, x = model.blocks[0], model.encoder(data)
    attention = block.attention
    value = attention.value(block.attention_norm(x))
    sent = attention.conv(value, first.edge_index, edge_weight=first.edge_weight)
    x = x + attention.out(sent)
    x = x + block.mlp(block.mlp_norm(x))
    block = model.blocks[1]
    torch.testing.assert_close(
        block.graph(x, model.context(data)).to_edges().edge_weight,
        model.graphs(data)[1].edge_weight,
    )


def test_embedding_and_head_are_one_matrix():
    model = make_model("gin")
    assert model.head.weight is model.encoder.token.weight


def test_copies_of_a_block_start_differently_and_share_nothing():
    first, second = make_model("gin").blocks
    assert not torch.equal(first.mlp.up.weight, second.mlp.up.weight)
    assert not torch.equal(
        first.attention.conv.nn.net[0].weight, second.attention.conv.nn.net[0].weight
    )
    assert {id(p) for p in first.parameters()}.isdisjoint(id(p) for p in second.parameters())


@pytest.mark.parametrize("mlp", [SwiGLU(16, 24), ShallowMLP(16, 24), LinearMLP(16), None])
def test_every_mlp_fits_a_block(mlp):
    block = Block(16, attention=make_attention("gin"), mlp=mlp)
    model = LanguageModel(vocab_size=5, width=16, heads=2, depth=1, block=block)
    (data,) = sequences([6], vocab_size=5)
    assert model(data).shape == (6, 5)


def test_gradient_reaches_the_scores():
    model = make_model("gin")
    (data,) = sequences([6])
    model(data).square().sum().backward()
    score = model.blocks[0].attention.adjacency.score
    assert score.q_proj.weight.grad.any()
    assert score.k_proj.weight.grad.any()


def test_no_block_is_refused():
    block = Block(16, attention=make_attention("gin"))
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        LanguageModel(vocab_size=5, width=16, heads=2, depth=0, block=block)


def test_graphs_are_the_same_in_training():
    model = make_model("gin", dropout=0.5).train()
    (data,) = sequences([6])
    first, second = (model.graphs(data)[-1].edge_weight for _ in range(2))
    assert torch.equal(first, second)
    assert model.training


def test_sizes_that_are_out_of_date_are_named():
    batch = Batch.from_data_list(sequences([3, 4]))
    batch.num_nodes_per_graph = [3, 3]
    with pytest.raises(ValueError, match="adds up to 6, but there are 7 nodes: delete it"):
        make_model("gin")(batch)
    batch.num_nodes_per_graph = [3, 4]
    with_sizes = make_model("gin")(batch)
    assert with_sizes.shape == (7, 11)


def test_a_wrapped_projection_and_hooks_are_called():
    """As adapters put them there."""
    model = make_model("gin").eval()
    (graph,) = sequences([4])
    before = model(graph)
    score = model.blocks[0].attention.adjacency.score

    class Wrapped(torch.nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base = base

        def forward(self, x):
            return 3 * self.base(x)

    score.q_proj = Wrapped(score.q_proj)
    assert not torch.allclose(model(graph), before)
    called = []
    model.blocks[1].register_forward_hook(lambda *_: called.append(1))
    with torch.no_grad():
        model(graph, Cache(2, 4))
    assert called


def test_a_sequence_without_places_is_told():
    with pytest.raises(ValueError, match="reads the nodes' positions, but the data has no seq_pos"):
        make_model("gin")(Data(token=torch.tensor([1, 2]), num_nodes=2))
