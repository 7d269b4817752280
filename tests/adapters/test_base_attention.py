"""The attention of a pretrained decoder itself, as graphs."""

import pytest
import torch
from torch_geometric.utils import to_dense_adj

pytest.importorskip("transformers")

from decoders import decoder

from gia.adapters.base_attention import base_attention


@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral"])
def test_is_that_of_transformers(kind):
    model = decoder(kind).eval()
    model.set_attn_implementation("sdpa")
    ids = torch.arange(3, 10)
    found = base_attention(model, ids)
    assert model.config._attn_implementation == "sdpa"
    model.set_attn_implementation("eager")
    expected = model(input_ids=ids[None], output_attentions=True).attentions
    assert len(found) == len(expected)
    for graph, (weight,) in zip(found, expected, strict=True):
        dense = to_dense_adj(graph.edge_index, None, graph.edge_weight, 7)[0]
        torch.testing.assert_close(dense.permute(2, 1, 0), weight)  # row i is what arrives at i
        assert (graph.edge_index[0] <= graph.edge_index[1]).all()


def test_a_failure_leaves_the_model_as_it_was():
    model = decoder("llama").eval()
    model.set_attn_implementation("sdpa")
    with pytest.raises(IndexError):
        base_attention(model, torch.tensor([10**6]))
    assert model.config._attn_implementation == "sdpa"
