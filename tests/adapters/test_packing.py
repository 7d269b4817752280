"""Ragged sequences in rows: none lost, none mixed, none seen by another."""

import pytest
import torch
from decoders import KINDS, decoder
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from gia.adapters import GraphLoRAConfig, LoRA, PretrainedLM, SparseGINConfig
from gia.adapters.packing import Rows

SIZES = [9, 3, 1, 7, 5, 2, 4]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=20), st.booleans())
def test_every_token_has_a_place_of_its_own(sizes, pack):
    rows = Rows.of(sizes, pack=pack)
    number, length = rows.shape
    assert length == max(sizes)
    assert number == len(sizes) if not pack else number <= len(sizes)
    assert len(set(rows.place.tolist())) == sum(sizes)
    for place in rows.place.split(sizes):  # in its row, one after the other, positions from 0
        assert place.tolist() == list(range(place[0], place[0] + len(place)))
        assert int(place[0]) // length == int(place[-1]) // length
        assert rows.position.flatten()[place].tolist() == list(range(len(place)))


def test_rows_are_filled_with_what_fits():
    assert Rows.of(SIZES).shape == (4, 9)  # 9 | 7 2 | 5 4 | 3 1
    assert Rows.of(SIZES, pack=False).shape == (7, 9)
    rows = Rows.of([2, 3])
    assert rows.fill(torch.tensor([5, 6, 7, 8, 9])).tolist() == [[7, 8, 9], [5, 6, 0]]


def batch(seed=1, vocabulary=60):
    draw = torch.Generator().manual_seed(seed)
    graphs = [Data(token=torch.randint(2, vocabulary, (n,), generator=draw)) for n in SIZES]
    for graph in graphs:
        graph.num_nodes = len(graph.token)
    return graphs


def model(kind, folder, adapter=None):
    decoder(kind).save_pretrained(folder)
    return PretrainedLM(folder, adapter).eval().double()


@pytest.mark.parametrize("kind", KINDS)
def test_packed_equals_alone(kind, tmp_path):
    """Also in windows, with learned positions and capped scores."""
    lm, graphs = model(kind, tmp_path), batch()
    with torch.no_grad():
        alone = torch.cat([lm(graph) for graph in graphs])
        packed = lm(Batch.from_data_list(graphs))
        lm.pack = False
        padded = lm(Batch.from_data_list(graphs))
    assert alone.shape == (sum(SIZES), 61)
    torch.testing.assert_close(packed, alone, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(padded, alone, rtol=1e-9, atol=1e-9)


ADAPTERS = {
    "lora": LoRA(r=2),
    "edges": SparseGINConfig(channels=4, scale=0.5, combine="sum", sinks=1),
    "top k": SparseGINConfig(channels=4, scale=0.5, top_k=2, hops=2),
    "graph_lora": GraphLoRAConfig(r=2),
    "graph_lora per head": GraphLoRAConfig(r=2, combine="per_head", top_k=2, nonlinear=True),
    "uniform": GraphLoRAConfig(r=2, edges="uniform"),
    "previous": GraphLoRAConfig(r=2, edges="previous"),
}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_packed_equals_alone_with_an_adapter(adapter, tmp_path):
    lm, graphs = model("llama", tmp_path, ADAPTERS[adapter]), batch()
    with torch.no_grad():
        for value in lm.parameters():
            if value.requires_grad:
                value.normal_(std=0.3)
        alone = torch.cat([lm(graph) for graph in graphs])
        packed = lm(Batch.from_data_list(graphs))
    torch.testing.assert_close(packed, alone, rtol=1e-9, atol=1e-9)


def test_nothing_of_a_sequence_reaches_another(tmp_path):
    """Its gradient by the embeddings of all the others is zero, exactly; by its own it is not."""
    lm = model("llama", tmp_path, ADAPTERS["edges"])
    graphs = batch()
    table = lm.lm.get_input_embeddings()
    seen = {}

    def keep(_, given, out):
        seen["embedded"] = out.detach().requires_grad_()
        return seen["embedded"]

    table.register_forward_hook(keep)
    out = lm(Batch.from_data_list(graphs))
    rows = Rows.of(SIZES)
    own = out.split(SIZES)
    for number in range(len(SIZES)):
        (gradient,) = torch.autograd.grad(own[number].sum(), seen["embedded"], retain_graph=True)
        of_token = gradient.flatten(0, 1)[rows.place].abs().sum(1).split(SIZES)
        for other, found in enumerate(of_token):
            assert bool(found.any()) == (other == number)
