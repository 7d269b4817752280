"""``check_laws`` catches a planted breach of each law, and finds none where there is none."""

import pytest
import torch
from graph_data import make, random_graphs
from laws import make_adjacency, make_model, sequences
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv, GINConv, GPSConv, SGFormer, global_add_pool
from torch_geometric.utils import erdos_renyi_graph

from gia.analysis import check_laws

LAWS = ["repeat", "batch", "later", "order", "forms", "gradient", "edges"]
WIDTH = 8


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def graphs(sizes=(6, 11, 4)):
    return [
        Data(x=torch.randn(n, WIDTH), edge_index=erdos_renyi_graph(n, 0.4), num_nodes=n)
        for n in sizes
    ]


def laws(model, items=None, **options):
    found = check_laws(model, graphs() if items is None else items, **options)
    return {one.law: one for one in found}


def broken(found):
    return [law for law, one in found.items() if one.held is False]


class Sound(nn.Module):
    """Keeps every law; subclasses break one."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = GCNConv(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x, edge_index, batch):
        return self.out(self.conv(x, edge_index).tanh())


class Random(Sound):
    def forward(self, x, edge_index, batch):
        return super().forward(x + 0.1 * torch.rand_like(x), edge_index, batch)


class LeaksAcrossGraphs(Sound):
    def forward(self, x, edge_index, batch):
        return super().forward(x - x.mean(0), edge_index, batch)


class KnowsPlaces(Sound):
    def forward(self, x, edge_index, batch):
        place = torch.arange(len(x)) - torch.searchsorted(batch, batch)
        return super().forward(x + 0.1 * place[:, None], edge_index, batch)


class ReadsTheLastEdge(Sound):
    def forward(self, x, edge_index, batch):
        last = x.new_zeros(len(x), x.size(1))
        last[edge_index[1]] = x[edge_index[0]]  # of several the last that is written
        return self.out((self.conv(x, edge_index) + last).tanh())


class HasAnIdleParameter(Sound):
    def __init__(self):
        super().__init__()
        self.idle = nn.Parameter(torch.ones(3))


class StopsAGradient(Sound):
    def forward(self, x, edge_index, batch):
        return self.out(self.conv(x, edge_index).detach())


class DropsEdges(Sound):
    def forward(self, x, edge_index, batch):
        return super().forward(x, edge_index[:, edge_index[0] < edge_index[1]], batch)


PLANTED = {
    Random: "repeat",
    LeaksAcrossGraphs: "batch",
    KnowsPlaces: "order",
    ReadsTheLastEdge: "order",
    HasAnIdleParameter: "gradient",
    StopsAGradient: "gradient",
    DropsEdges: "edges",
}


def test_a_sound_model_keeps_all_that_apply():
    found = laws(Sound())
    assert list(found) == LAWS
    assert not broken(found)
    assert [law for law, one in found.items() if one.held is None] == ["later", "forms"]
    assert found["batch"].worst < 1e-12


@pytest.mark.parametrize("model", PLANTED)
def test_a_planted_breach_is_caught(model):
    found = laws(model())
    assert PLANTED[model] in broken(found)
    assert found[PLANTED[model]].detail


def test_what_is_broken_is_named():
    assert laws(HasAnIdleParameter())["gradient"].detail == "no gradient reaches idle"
    assert "conv.lin.weight" in laws(StopsAGradient())["gradient"].detail
    told = laws(LeaksAcrossGraphs())["batch"].detail
    assert "in a batch of graphs of" in told
    assert " -> " in laws(DropsEdges())["edges"].detail


class Sequential(nn.Module):
    """Each node is told the sum of all before it."""

    def __init__(self, later=False, length=False):
        super().__init__()
        self.embed, self.later, self.length = nn.Embedding(11, WIDTH), later, length

    def forward(self, data):
        parts = []
        for tokens in data.token.split(data.ptr.diff().tolist()):
            x = self.embed(tokens)
            x = x.cumsum(0) + (0.1 * x.mean(0) if self.later else 0)
            parts.append(x / len(x) if self.length else x)
        return torch.cat(parts)


def test_later_tokens():
    items = sequences([6, 9])
    assert laws(Sequential(), items, causal=True)["later"].held
    leak = laws(Sequential(later=True), items, causal=True)
    assert broken(leak) == ["later"]
    assert "another token there" in leak["later"].detail or "without" in leak["later"].detail
    length = laws(Sequential(length=True), items, causal=True)  # how many there are is told, too
    assert broken(length) == ["later"]
    assert "without the later ones" in length["later"].detail
    assert laws(Sequential(later=True), items)["later"].held is None


class OneFormIsOff(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = make_model("gin")
        self.adjacency = make_adjacency(16, 2)  # only to be found

    def forward(self, data):
        out = self.model(data)
        form = next(part.form for part in self.model.modules() if hasattr(part, "form"))
        return out * (1.01 if form == "edges" else 1.0)


def test_forms():
    found = laws(OneFormIsOff(), sequences([6, 9]), causal=True)
    assert found["forms"].held is False
    assert found["forms"].detail == "form=edges"


@pytest.mark.parametrize("name", ["gin", "gin_top_k", "pna", "pna_token", "softmax"])
def test_our_language_models_keep_them(name):
    model = make_model(name)
    found = laws(model, sequences([5, 12, 8]), causal=True)
    assert not broken(found)
    assert {law for law, one in found.items() if one.held} >= {"batch", "later", "forms"}
    assert next(model.parameters()).dtype == torch.float32  # a copy was measured
    assert torch.get_default_dtype() == torch.float32


MODELS = ["graph_transformer", "gine", "gine_plus", "gps", "pna", "transformer_conv", "mixed"]


@pytest.mark.parametrize("name", MODELS)
def test_models_of_graphs_keep_them(name):
    items = [data for data in random_graphs() if data.num_nodes > 1]
    for data in items:
        del data.seq_pos  # a graph's nodes have no order
    found = laws(make(f"model={name}"), items)
    assert not broken({law: one for law, one in found.items() if law != "gradient"})
    assert found["order"].held
    assert found["edges"].held


def test_pygs_known_leak_is_found():
    """SGFormer's attention takes all nodes of a batch for one graph; GPSConv's does not."""
    found = laws(SGFormer(WIDTH, WIDTH, 4))
    assert broken(found) == ["batch"]
    gin = GINConv(nn.Linear(WIDTH, WIDTH))
    assert "batch" not in broken(laws(GPSConv(WIDTH, gin, heads=2)))
    assert broken(laws(GPSConv(WIDTH, gin, heads=2, attn_type="performer"))) == ["batch"]


class OfGraphs(Sound):
    def forward(self, x, edge_index, batch):
        return global_add_pool(super().forward(x, edge_index, batch), batch)


def test_outputs_of_whole_graphs():
    found = laws(OfGraphs(), causal=True)
    assert not broken(found)
    assert found["later"].detail == "its outputs are of whole graphs"


class TakesTheBatch(Sound):
    def forward(self, batch):
        return super().forward(batch.x, batch.edge_index, batch.batch)


class DividesByZero(Sound):
    def forward(self, x, edge_index, batch):
        return super().forward(x / (x - x), edge_index, batch)


def test_an_argument_that_is_called_batch_alone_is_all_of_it():
    assert not broken(laws(TakesTheBatch()))


def test_what_is_no_number_is_told():
    (found,) = laws(DividesByZero()).values()
    assert found.held is False
    assert found.detail == "its output is no number on a graph of 6 nodes"


class NeedsMore(nn.Module):
    def forward(self, x, spectrum):
        return x


class GivesAList(nn.Module):
    def forward(self, x):
        return [x]


class GivesAnotherNumber(nn.Module):
    def forward(self, x):
        return x[:3]


@pytest.mark.parametrize(
    ("model", "items", "reason"),
    [
        (NeedsMore(), graphs(), "NeedsMore.forward needs spectrum, but the data has"),
        (GivesAList(), graphs(), "must give a tensor of rows, got list"),
        (GivesAnotherNumber(), graphs(), r"a row for each of 6 nodes, or one .* gave \[3, 8\]"),
        (nn.Linear(8, 3), graphs(), r"Linear cannot be called with these graphs \(x, edge_index"),
        (Sound(), graphs((5,)), "two graphs at least, got 1"),
    ],
)
def test_what_cannot_be_measured(model, items, reason):
    with pytest.raises(ValueError, match=reason):
        check_laws(model, items)
