"""Laws of an adapter's layer: what reaches a token, and that a cache changes nothing."""

import pytest
import torch
from attention_maps import make_maps
from torch import nn

from gia.adapters import SparseGIN, SparseGINConfig
from gia.graph import EdgeAdjacency

WIDTH, HEADS, LENGTH = 12, 4, 9
CONVS = ["gin", "gcn", "pna", "recombine"]
COMBINE = ["sum", "per_head"]

pytestmark = pytest.mark.usefixtures("float64")


def make_layer(**options):
    """A layer that is not as new: it does something."""
    options = {"channels": 8, "scale": 0.7, **options}
    layer = SparseGIN(SparseGINConfig.published(**options), width=WIDTH, heads=HEADS)
    for name, parameter in layer.named_parameters():
        if name.endswith(("eps", "norm.weight")):
            nn.init.uniform_(parameter, 0.3, 1.3)
    return layer


def hidden_states(batch=2):
    return torch.randn(batch, LENGTH, WIDTH)


def run(layer, hidden, maps, extend=None):
    return layer(hidden, maps.edges(layer.weights), extend)


class Nodes:
    """What a cache holds of each kind of message."""

    def __init__(self):
        self.held = {}

    def __call__(self, name, features):
        before = self.held.get(name)
        self.held[name] = features if before is None else torch.cat([before, features], dim=1)
        return self.held[name]


every_conv = pytest.mark.parametrize("conv", CONVS)
every_combine = pytest.mark.parametrize("combine", COMBINE)
every_hops = pytest.mark.parametrize("hops", [1, 2])


@every_conv
@every_combine
@every_hops
def test_later_tokens_change_nothing(conv, combine, hops):
    layer, maps = make_layer(conv=conv, combine=combine, hops=hops), make_maps()
    hidden, other = hidden_states(), make_maps()
    before = run(layer, hidden, maps)
    for token in range(1, LENGTH):
        changed = hidden.clone()
        changed[:, token:] += torch.randn(2, LENGTH - token, WIDTH)
        maps_then = make_maps()
        maps_then.attention = maps.attention.clone()
        maps_then.attention[:, :, token:] = other.attention[:, :, token:]
        after = run(layer, changed, maps_then)
        torch.testing.assert_close(after[:, :token], before[:, :token], rtol=1e-12, atol=1e-12)
        assert not torch.allclose(after[:, token], before[:, token])


@every_conv
@every_combine
@every_hops
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("steps", [[1] * LENGTH, [4, 1, 1, 3]], ids=str)
def test_token_by_token_is_all_at_once(conv, combine, hops, normalize, steps):
    options = {"normalize": normalize, "self_loops": False, "eps": "published"}
    layer, maps = make_layer(conv=conv, combine=combine, hops=hops, **options), make_maps()
    hidden, nodes, start = hidden_states(), Nodes(), 0
    together = run(layer, hidden, maps)
    for step in steps:
        new = slice(start, start + step)
        out = run(layer, hidden[:, new], maps.part(new, slice(0, new.stop)), nodes)
        torch.testing.assert_close(out, together[:, new], rtol=1e-11, atol=1e-11)
        start += step
    assert len(nodes.held) == hops


@every_conv
@every_combine
def test_a_message_reaches_its_target(conv, combine):
    """What the published code lacks: a token's output depends on other tokens, one edge away."""
    layer, maps = make_layer(conv=conv, combine=combine), make_maps(batch=1)
    source, target = maps.edges(layer.weights).edge_index
    hidden = hidden_states(1).requires_grad_()
    out = run(layer, hidden, maps)
    weights = torch.randn(WIDTH)
    for token in range(LENGTH):
        (grad,) = torch.autograd.grad(out[0, token] @ weights, hidden, retain_graph=True)
        reached = {int(j) for j in grad[0].abs().sum(-1).nonzero()}
        sources = set(source[target == token].tolist())
        assert sources <= reached <= sources | {token}
        assert token in reached or conv in ("gcn", "recombine")


@every_conv
@every_combine
def test_every_edge_counts(conv, combine):
    layer, maps = make_layer(conv=conv, combine=combine, activation="silu"), make_maps()
    edges = maps.edges(layer.weights)
    weight = edges.edge_weight.detach().requires_grad_()
    out = layer(hidden_states(), edges.with_weight(weight))
    (out * torch.randn_like(out)).sum().backward()
    assert bool((weight.grad[weight != 0] != 0).all())
    assert weight.numel() > 20


@every_conv
def test_with_published_direction_no_message_passes(conv):
    layer = make_layer(conv=conv, edge_direction="published")
    hidden, maps = hidden_states(), make_maps()
    before = run(layer, hidden, maps)
    hidden[:, 3] += 1
    changed = (run(layer, hidden, maps) - before).abs().sum((0, 2)).nonzero().flatten().tolist()
    assert changed == [3]


@every_conv
@every_combine
def test_gradients(conv, combine):
    options = {"conv": conv, "combine": combine, "channels": 4, "activation": "silu", "hops": 2}
    layer, maps = make_layer(**options), make_maps(batch=1, length=4)
    edges = maps.edges(layer.weights)
    weight = edges.edge_weight.detach().requires_grad_()
    lacks = weight.detach() == 0  # an edge that a head lacks is not there to be changed
    hidden, names = torch.randn(1, 4, WIDTH, requires_grad=True), dict(layer.named_parameters())

    def call(hidden, weight, *parameters):
        graph = edges.with_weight(weight.masked_fill(lacks, 0))
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(layer, values, (hidden, graph))

    assert torch.autograd.gradcheck(call, (hidden, weight, *names.values()))


@every_conv
@every_combine
def test_a_new_adapter_changes_nothing(conv, combine):
    layer = SparseGIN(
        SparseGINConfig.published(channels=8, conv=conv, combine=combine),
        width=WIDTH,
        heads=HEADS,
    )
    delta = run(layer, hidden_states(), make_maps())
    assert torch.equal(delta, torch.zeros_like(delta))
    delta.sum().backward()
    assert layer.scale.grad != 0
    config = SparseGINConfig.published(channels=8, scale=0, scale_schedule="published")
    last = SparseGIN(config, width=WIDTH, heads=HEADS, layer=3, num_layers=4)
    assert last.scale.item() == 0.5


@every_conv
@every_combine
def test_sequences_of_a_batch_do_not_meet(conv, combine):
    layer, maps, hidden = (
        make_layer(conv=conv, combine=combine, hops=2),
        make_maps(3),
        hidden_states(3),
    )
    together = run(layer, hidden, maps)
    for number in range(3):
        one = slice(number, number + 1)
        alone = run(layer, hidden[one], maps.part(slice(None), batch=one))
        torch.testing.assert_close(together[one], alone, rtol=1e-12, atol=1e-12)


@every_conv
@every_combine
def test_numbering_the_tokens_anew_changes_nothing(conv, combine):
    layer = make_layer(conv=conv, combine=combine, hops=2)
    maps, hidden = make_maps(causal=False), hidden_states()
    together, order = run(layer, hidden, maps), torch.randperm(LENGTH)
    maps = maps.part(order).part(slice(None), order)
    torch.testing.assert_close(
        run(layer, hidden[:, order], maps), together[:, order], rtol=1e-12, atol=1e-12
    )


@every_conv
@every_combine
def test_tokens_without_an_edge(conv, combine):
    layer = make_layer(conv=conv, combine=combine)
    weight = torch.zeros(0, HEADS) if combine == "per_head" else torch.zeros(0)
    none = EdgeAdjacency(torch.zeros(2, 0, dtype=torch.long), weight, num_nodes=2 * LENGTH)
    hidden = hidden_states().requires_grad_()
    out = layer(hidden, none)
    assert out.isfinite().all()
    out.sum().backward()
    assert hidden.grad.isfinite().all()
    assert layer(hidden[:0], EdgeAdjacency(none.edge_index, weight, num_nodes=0)).shape[0] == 0


@every_conv
@every_combine
@pytest.mark.parametrize("how", ["all half", "hidden states half", "autocast"])
def test_half_precision(conv, combine, how):
    layer, maps, hidden = (
        make_layer(conv=conv, combine=combine).float(),
        make_maps(),
        hidden_states(),
    )
    maps.attention, hidden = maps.attention.float(), hidden.float()
    expected = run(layer, hidden, maps)
    if how == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = run(layer, hidden, maps)
            out.sum().backward()
    else:
        layer = layer.bfloat16() if how == "all half" else layer
        hidden = hidden.bfloat16()
        out = run(layer, hidden, maps)
        assert out.dtype == torch.bfloat16
        out.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
    torch.testing.assert_close(out.float(), expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("activation", ["prelu", "silu", "gelu", "relu"])
def test_parameters(activation):
    layer = make_layer(activation=activation, hops=2, multiplier=0.5)
    names = {name for name, _ in layer.named_parameters()}
    per_hop = ("eps", "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias")
    expected = {f"hops.{number}.{part}" for number in range(2) for part in per_hop}
    expected |= {f"{part}_proj.{what}" for part in ("in", "out") for what in ("weight", "bias")}
    expected |= {"norm.weight", "scale"} | (
        {"activation.weight"} if activation == "prelu" else set()
    )
    assert names == expected
    assert layer.hops[0].linear1.weight.shape == (4, 8)


def test_eps_starts_as_asked():
    for eps, start in (("standard", 0.0), ("published", -1.0)):
        layer = SparseGIN(SparseGINConfig(eps=eps, channels=8), width=WIDTH, heads=HEADS)
        assert layer.hops[0].eps.tolist() == [start]


def test_dropout_follows_each_hop():
    layer, maps, hidden = make_layer(dropout=0.5), make_maps(), hidden_states()
    assert not torch.equal(run(layer, hidden, maps), run(layer, hidden, maps))
    layer.eval()
    assert torch.equal(run(layer, hidden, maps), run(layer, hidden, maps))


def test_errors():
    with pytest.raises(ValueError, match="set channels to a multiple of 4"):
        make_layer(combine="per_head", channels=6)
    with pytest.raises(ValueError, match="layer must be from 0 to 2, got 3"):
        SparseGIN(SparseGINConfig(), width=WIDTH, heads=HEADS, layer=3, num_layers=3)
    layer = make_layer()
    with pytest.raises(ValueError, match=r"arrive at 18 targets, but .* 2 x 4 tokens"):
        layer(hidden_states()[:, :4], make_maps().edges(layer.weights))
