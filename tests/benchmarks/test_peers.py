"""The peers state the same mathematics as gia's layers: same parameters, same results."""

import pytest
import torch
from laws import assert_same, outputs_and_gradients
from peers import EagerGIN, EagerPNA, FlashAttention, PaddedGIN, PlainAttention, transformer_conv

from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    DotProductScore,
    FullScope,
    Rotary,
    Softmax,
)
from gia.nn import GINAttention, PNAAttention, SoftmaxAttention

WIDTH, HEADS, BATCH, LENGTH = 24, 3, 2, 13
# Where gia keeps what the peers call otherwise.
NAMES = {
    "q_proj.weight": "adjacency.score.q_proj.weight",
    "k_proj.weight": "adjacency.score.k_proj.weight",
    "v_proj.weight": "value.weight",
    "o_proj.weight": "out.weight",
    "eps": "conv.eps",
    "weight1": "conv.nn.net.0.weight",
    "bias1": "conv.nn.net.0.bias",
    "gain": "conv.nn.net.2.weight",
    "weight2": "conv.nn.net.4.weight",
    "bias2": "conv.nn.net.4.bias",
}
PAIRS = {
    "sdpa": (PlainAttention, SoftmaxAttention),
    "flash_sdpa": (FlashAttention, SoftmaxAttention),
    "eager_gin": (EagerGIN, GINAttention),
    "eager_pna": (EagerPNA, PNAAttention),
}


def adjacency():
    return AttentionAdjacency(score=DotProductScore(WIDTH, HEADS), normalize=Softmax())


def alike(peer_type, layer_type):
    """A peer and a layer of gia with the same parameters, none of them where it starts."""
    peer, layer = peer_type(WIDTH, HEADS), layer_type(WIDTH, HEADS, adjacency=adjacency())
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
            layer.get_parameter(NAMES[name]).copy_(parameter)
    return peer, layer


def results(module, x, call, names=None):
    """Outputs and gradients, under the peers' names, in the peers' shape."""
    found = outputs_and_gradients(module, x, call)
    found.pop("adjacency.normalize.sharpening", None)  # the peers have none
    back = {ours: peers for peers, ours in NAMES.items()}
    return {back.get(name, name): value for name, value in found.items()}


def assert_causal_peer_agrees(peer_type, layer_type, tolerance):
    peer, layer = alike(peer_type, layer_type)
    angles = Rotary(WIDTH // HEADS)
    pos = torch.arange(LENGTH)
    scope = CausalScope(torch.arange(BATCH + 1) * LENGTH)
    x = torch.randn(BATCH, LENGTH, WIDTH)
    ragged_angles = angles(pos.repeat(BATCH))
    assert_same(
        results(peer, x, lambda x: peer(x, angles(pos))),
        results(layer, x, lambda x: layer(x.flatten(0, 1), scope, ragged_angles).view_as(x)),
        tolerance,
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", PAIRS)
def test_peer_is_the_layer_in_float64(name):
    assert_causal_peer_agrees(*PAIRS[name], tolerance=1e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_peer_is_the_layer_in_float32(name):
    assert_causal_peer_agrees(*PAIRS[name], tolerance=1e-4)


@pytest.mark.usefixtures("float64")
def test_padded_gin_is_the_layer_on_ragged_graphs():
    peer, layer = alike(PaddedGIN, GINAttention)
    sizes = torch.tensor([5, 1, 8])
    mask = torch.arange(8) < sizes.unsqueeze(1)
    scope = FullScope(torch.tensor([0, 5, 6, 14]))
    x = torch.randn(3, 8, WIDTH)
    padding = torch.zeros_like(x)

    def padded(nodes):
        return peer(padding.index_put((mask,), nodes), mask)[mask]

    assert_same(
        results(peer, x[mask], padded),
        results(layer, x[mask], lambda x: layer(x, scope)),
        tolerance=1e-10,
    )


@pytest.mark.usefixtures("float64")
def test_transformer_conv_is_softmax_attention_without_positions_and_output():
    conv = transformer_conv(WIDTH, HEADS)
    layer = SoftmaxAttention(WIDTH, HEADS, adjacency=adjacency())
    with torch.no_grad():
        conv.lin_query.weight.copy_(layer.adjacency.score.q_proj.weight)
        conv.lin_key.weight.copy_(layer.adjacency.score.k_proj.weight)
        conv.lin_value.weight.copy_(layer.value.weight)
        layer.out.weight.copy_(torch.eye(WIDTH))
    scope = CausalScope(torch.tensor([0, LENGTH, LENGTH + 4]))
    x = torch.randn(LENGTH + 4, WIDTH)
    torch.testing.assert_close(conv(x, scope.edge_index()), layer(x, scope))
