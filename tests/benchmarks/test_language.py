"""The language models that are compared: as large as each other, and doing the same."""

from argparse import Namespace

import pytest
import torch
from torch_geometric.data import Batch

pytest.importorskip("transformers", reason="Hugging Face's models need transformers: gia[llm]")

from language import ATTENTIONS, PEER, TOLERANCE, language_models
from laws import sequences
from model import gia_loss, llama_loss, padded, training_step

from gia.nn import count_parameters

VOCAB = 11
ARGS = Namespace(width=32, heads=2, depth=2, hidden=96, attentions=["gin", "pna", "softmax"])
# Where Hugging Face keeps what a block of gia's has.
NAMES = {
    "attention_norm.weight": "input_layernorm.weight",
    "attention.adjacency.score.q_proj.weight": "self_attn.q_proj.weight",
    "attention.adjacency.score.k_proj.weight": "self_attn.k_proj.weight",
    "attention.value.weight": "self_attn.v_proj.weight",
    "attention.out.weight": "self_attn.o_proj.weight",
    "mlp_norm.weight": "post_attention_layernorm.weight",
    "mlp.gate.weight": "mlp.gate_proj.weight",
    "mlp.up.weight": "mlp.up_proj.weight",
    "mlp.down.weight": "mlp.down_proj.weight",
}


@pytest.fixture
def models():
    return language_models(ARGS, VOCAB)


def test_models_are_of_one_size(models):
    assert list(models) == [*ATTENTIONS, PEER]
    target = count_parameters(models[PEER])
    for name, model in models.items():
        assert abs(count_parameters(model) - target) <= TOLERANCE * target, name


def copy_into_llama(ours, llama):
    """Give a Llama the parameters of gia's softmax model."""
    with torch.no_grad():
        llama.model.embed_tokens.weight.copy_(ours.encoder.token.weight)
        llama.model.norm.weight.copy_(ours.norm.weight)
        for block, layer in zip(ours.blocks, llama.model.layers, strict=True):
            for name, theirs in NAMES.items():
                layer.get_parameter(theirs).copy_(block.get_parameter(name))


def test_llama_is_gias_softmax_model_on_ragged_batches(models):
    ours, llama = models["softmax"], models[PEER]
    copy_into_llama(ours, llama)
    batch = Batch.from_data_list(sequences([3, 9, 1, 6], VOCAB))
    torch.testing.assert_close(gia_loss(ours, batch), llama_loss(llama, padded(batch)))
    for name, model in (("softmax", ours), (PEER, llama)):
        training_step(name, model, batch)()
    torch.testing.assert_close(
        ours.encoder.token.weight.grad,
        llama.model.embed_tokens.weight.grad,
        rtol=1e-4,
        atol=1e-6,
    )
    torch.testing.assert_close(
        ours.blocks[0].attention.adjacency.score.q_proj.weight.grad,
        llama.model.layers[0].self_attn.q_proj.weight.grad,
        rtol=1e-4,
        atol=1e-6,
    )


def test_padded_batch_holds_the_same_sequences():
    graphs = sequences([3, 5], VOCAB)
    dense = padded(Batch.from_data_list(graphs))
    assert dense["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert dense["labels"][0, 3:].tolist() == [-100, -100]
    for row, graph in enumerate(graphs):
        kept = dense["attention_mask"][row].bool()
        assert torch.equal(dense["input_ids"][row, kept], graph.token)
        assert torch.equal(dense["labels"][row, kept], graph.y)
