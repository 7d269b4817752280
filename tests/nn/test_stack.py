"""Blocks of ours and of PyG's layers in one stack, built in Python and by config."""

import logging

import pytest
import torch
from graph_data import INPUTS, graph, make, random_graphs, settled
from laws import make_adjacency, make_attention, sequences
from torch import nn
from torch_geometric.data import Batch
from torch_geometric.nn import GATv2Conv, GCNConv, GINEConv, SAGEConv
from torch_geometric.nn import PNAConv as PyGPNAConv
from torch_geometric.nn.norm import BatchNorm, GraphNorm, LayerNorm

import gia.nn
from gia.analysis import AttentionEdges
from gia.attention import Cache, CausalScope, FullScope, InputGraph
from gia.nn import (
    Block,
    ConvBlock,
    EdgeEncoder,
    GINAttention,
    GINConv,
    GPSBlock,
    GraphContext,
    GraphTransformer,
    LanguageModel,
    MLPBlock,
    NodeEncoder,
    PlainConvBlock,
    PNAAttention,
    PredictionHead,
    ReLUMLP,
    RMSNorm,
    Stack,
    SwiGLU,
    generate,
)
from gia.nn.pyg_conv import tell

WIDTH, HEADS = 16, 2


def mlp():
    return ReLUMLP(WIDTH, 24)


def conv_block(conv, norm=None):
    norm = RMSNorm(WIDTH) if norm is None else norm
    return ConvBlock(conv=conv, norm=norm, mlp=mlp())


def four_blocks():
    """GIN-Attention, GATv2 over the given edges, GPS, PNA-Attention."""
    adjacency = make_adjacency(WIDTH, HEADS)
    return [
        Block(WIDTH, attention=GINAttention(WIDTH, HEADS, adjacency=adjacency, eps=0), mlp=mlp()),
        conv_block(GATv2Conv(WIDTH, WIDTH // 2, heads=2, edge_dim=WIDTH)),
        GPSBlock(WIDTH, HEADS, mlp=mlp(), edge_dim=WIDTH),
        Block(WIDTH, attention=PNAAttention(WIDTH, HEADS, adjacency=adjacency), mlp=mlp()),
    ]


def model_in_python():
    return GraphTransformer(
        encoder=NodeEncoder(WIDTH, categories=[5, 3], encodings=INPUTS["encodings"]),
        edge_encoder=EdgeEncoder(WIDTH, categories=[4]),
        block=four_blocks(),
        depth=1,
        head=PredictionHead(WIDTH, 2),
        width=WIDTH,
        heads=HEADS,
        level="node",
    )


def model_by_config():
    return make("model=mixed", "model.depth=1", level="node")


@pytest.mark.parametrize("build", [model_in_python, model_by_config])
def test_ours_and_pygs_train_in_one_stack(build):
    torch.manual_seed(0)
    model = build()
    assert [type(block).__name__ for block in model.blocks] == [
        *("Block", "ConvBlock", "GPSBlock", "Block"),
    ]
    batch = Batch.from_data_list(random_graphs())
    target = torch.stack([batch.x[:, 0], batch.edge_index[1].bincount(minlength=26)], 1).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = (model(batch) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    idle = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


@pytest.mark.parametrize("build", [model_in_python, model_by_config])
def test_blocks_without_attention_draw_no_graph(build):
    model = settled(build(), random_graphs())
    data = graph(6, 5)
    layers = model.graphs(data)
    assert [layer is None for layer in layers] == [False, True, True, False]
    assert layers[3].edge_index.shape == (2, 36)
    if build is model_in_python:
        data.token = torch.arange(6)
        assert AttentionEdges(model, layer=-1)(data).edge_weight.shape == (36, HEADS)
        with pytest.raises(ValueError, match="layer 1 draws no graph: it is a ConvBlock"):
            AttentionEdges(model, layer=1)(data)


def test_a_list_of_blocks_is_repeated_in_its_order():
    stack = Stack([MLPBlock(norm=RMSNorm(4), mlp=ReLUMLP(4, 4)), nn.Identity()], depth=3)
    assert [type(block).__name__ for block in stack] == ["MLPBlock", "Identity"] * 3
    assert not torch.equal(stack[0].mlp[0].weight, stack[2].mlp[0].weight)
    assert stack[1:3][1] is stack[2]  # a part of it is no copy
    assert {key.split(".")[0] for key in stack.state_dict()} == {"0", "2", "4"}
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        Stack(nn.Identity(), 0)
    with pytest.raises(ValueError, match="at least one block"):
        Stack([])


def test_a_context_knows_edges_and_graphs():
    edge_index = torch.tensor([[0, 2, 1, 4, 3], [1, 1, 2, 3, 3]])
    known = torch.randn(3, 2)
    kind = torch.tensor([0, 0, 2, 1, 2])
    given = InputGraph(edge_index, known, kind)
    ptr = torch.tensor([0, 3, 5])
    graphs = GraphContext(FullScope(ptr, given=given), given=given)
    assert torch.equal(graphs.batch, torch.tensor([0, 0, 0, 1, 1]))
    assert torch.equal(graphs.edge_index, edge_index)
    assert torch.equal(graphs.edge_attr, known[kind])
    causal = GraphContext(CausalScope(ptr, given=given), given=given)
    assert torch.equal(causal.edge_index, edge_index[:, [0, 2, 4]])
    assert torch.equal(causal.edge_attr, known[kind[[0, 2, 4]]])
    numbers = InputGraph(edge_index, torch.arange(5.0))
    assert GraphContext(FullScope(ptr), given=numbers).edge_attr.shape == (5, 1)
    with pytest.raises(ValueError, match="over the data's edges, but the data has no edge_index"):
        GraphContext(FullScope(ptr)).edge_index  # noqa: B018


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "conv",
    [
        GINEConv(ReLUMLP(WIDTH, 8), edge_dim=3),
        GINConv(ReLUMLP(WIDTH, 8), edge_dim=3),
        gia.nn.GINEConv(ReLUMLP(WIDTH, 8), edge_dim=3),
        GATv2Conv(WIDTH, WIDTH, edge_dim=3),
        GCNConv(WIDTH, WIDTH),
    ],
    ids=lambda conv: type(conv).__module__.split(".")[0] + type(conv).__name__,
)
def test_a_conv_block_is_its_conv_over_the_given_edges(conv):
    block = conv_block(conv.double()).double().eval()
    given = InputGraph(torch.tensor([[0, 2, 1], [1, 1, 2]]), torch.randn(3, 3))
    x = torch.randn(4, WIDTH)
    graphs = GraphContext(FullScope(torch.tensor([0, 4])), given=given)
    attr = {} if isinstance(conv, GCNConv) else {"edge_attr": given.edge_attr}
    expected = x + conv(block.conv_norm(x), given.edge_index, **attr)
    expected = expected + block.mlp(block.norm(expected))
    torch.testing.assert_close(block(x, graphs), expected)


def test_attributes_without_use_are_told(caplog):
    tell.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            conv_block(SAGEConv(WIDTH, WIDTH))
    (record,) = caplog.records
    assert "SAGEConv takes no attributes of edges here" in record.message


def test_another_width_is_named():
    with pytest.raises(ValueError, match=r"GATv2Conv makes 32 channels of 16, .* must be 8"):
        conv_block(GATv2Conv(WIDTH, WIDTH, heads=2, edge_dim=3))
    block = conv_block(GINEConv(nn.Sequential(nn.Linear(WIDTH, 1)), edge_dim=3))  # it cannot tell
    given = InputGraph(torch.tensor([[0], [1]]), torch.randn(1, 3))
    graphs = GraphContext(FullScope(torch.tensor([0, 2])), given=given)
    with pytest.raises(ValueError, match=r"GINEConv makes \[2, 1\] of \[2, 16\]"):
        block(torch.randn(2, WIDTH), graphs)
    with pytest.raises(ValueError, match="must divide the width: 3 heads, 16 wide"):
        GPSBlock(WIDTH, 3, mlp=mlp(), edge_dim=3)
    with pytest.raises(ValueError, match=r"begin with a layer that tells .*, got SwiGLU"):
        GPSBlock(WIDTH, 2, mlp=SwiGLU(WIDTH, 8), edge_dim=3)


def test_a_language_model_takes_no_block_that_sees_all_nodes():
    def build(*blocks):
        return LanguageModel(vocab_size=5, width=WIDTH, heads=HEADS, depth=1, block=blocks)

    ours = Block(WIDTH, attention=make_attention("gin"), mlp=mlp())
    with pytest.raises(ValueError, match="GPSConv looks at later nodes"):
        build(ours, GPSBlock(WIDTH, HEADS, mlp=mlp(), edge_dim=3))
    for norm in (BatchNorm(WIDTH), GraphNorm(WIDTH), LayerNorm(WIDTH, mode="graph")):
        name = "BatchNorm1d|" + type(norm).__name__
        with pytest.raises(ValueError, match=f"({name}) is computed over all nodes"):
            build(ours, MLPBlock(norm=norm, mlp=mlp()))
    model = build(ours, MLPBlock(norm=LayerNorm(WIDTH, mode="node"), mlp=mlp()))
    assert model.continuable
    (made,) = generate(model, [torch.tensor([1, 2])], max_new_tokens=3, temperature=0)
    (again,) = generate(
        model, [torch.tensor([1, 2])], max_new_tokens=3, temperature=0, use_cache=False
    )
    assert torch.equal(made, again)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "block", [conv_block(GCNConv(WIDTH, WIDTH)), PlainConvBlock(GCNConv(WIDTH, WIDTH))]
)
def test_given_edges_of_a_language_model_lead_forward_only(block):
    block = block.double()
    model = LanguageModel(vocab_size=11, width=WIDTH, heads=HEADS, depth=2, block=block).eval()
    (data,) = sequences([7])
    data.edge_index = torch.randint(0, 7, (2, 20))
    before = model(data)
    for node in range(7):
        changed = data.clone()
        changed.token = data.token.clone()
        changed.token[node] = (data.token[node] + 1) % 11
        assert torch.equal(model(changed)[:node], before[:node])
    assert not model.continuable
    with pytest.raises(ValueError, match="ConvBlock cannot be continued with a cache"):
        model(data, Cache(2, 9))


def test_blocks_of_both_kinds_are_compiled():
    torch._dynamo.reset()
    compiled, plain = model_in_python(), model_in_python()
    plain.load_state_dict(compiled.state_dict())
    compiled.compile_blocks(backend="eager")
    batch = Batch.from_data_list(random_graphs())
    for model in (compiled, plain):
        model.eval()
    torch.testing.assert_close(compiled(batch), plain(batch), rtol=1e-4, atol=1e-4)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    torch._dynamo.reset()


def test_scaling_by_the_degree_of_graphs_without_edges_is_refused():
    conv = PyGPNAConv(WIDTH, WIDTH, ["mean"], ["amplification"], torch.tensor([9]))
    with pytest.raises(ValueError, match=r"PNAConv divides by the mean degree.*have no edges"):
        conv_block(conv)
