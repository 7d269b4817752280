"""The head of a decoder: losses without logits are those of the logits, or it is told apart."""

import pytest
import torch
from decoders import KINDS, OTHERS, decoder
from torch import nn
from torch.nn.functional import cross_entropy

from gia.adapters.decoder_head import logits_are_linear, logits_of_tokens, losses_of_tokens

BOUNDED = {"gemma2"}  # tanh(logits / 30) 30
PLACE = torch.tensor([0, 1, 2, 5, 6])  # of two rows of four places
TARGET = torch.tensor([3, 60, 0, 7, 7])


def inputs():
    ids = torch.randint(1, 61, (2, 4), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "position_ids": torch.arange(4).expand(2, 4)}


def scaled(config, **settings):
    import transformers

    sizes = {"vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "intermediate_size": 32, "pad_token_id": 0}
    config = getattr(transformers, config)(**sizes, **settings)
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("kind", [*KINDS, *OTHERS])
def test_losses_are_those_of_the_logits(kind):
    lm = decoder(kind)
    assert logits_are_linear(lm) == (kind not in BOUNDED)
    logits = logits_of_tokens(lm, inputs(), PLACE)
    assert logits.shape == (5, 61)
    if kind not in BOUNDED:
        losses = losses_of_tokens(lm, inputs(), PLACE, TARGET)
        expected = cross_entropy(logits, TARGET, reduction="none")
        torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "settings"),
    [("CohereConfig", {"logit_scale": 0.25}), ("GraniteConfig", {"logits_scaling": 8.0})],
)
def test_scaled_logits_are_told_apart(config, settings):
    assert not logits_are_linear(scaled(config, **settings))
    plain = dict.fromkeys(settings, 1.0)
    assert logits_are_linear(scaled(config, **plain))


def test_a_head_that_does_more_is_told_apart():
    lm = decoder("llama")
    head = lm.get_output_embeddings()
    assert logits_are_linear(lm)
    handle = head.register_forward_hook(lambda head, args, out: out * 3)
    assert not logits_are_linear(lm)
    handle.remove()
    handle = lm.register_forward_hook(_three_times)
    assert not logits_are_linear(lm)
    handle.remove()
    assert logits_are_linear(lm)
    lm.set_output_embeddings(nn.Sequential(head))
    assert not logits_are_linear(lm)


def _three_times(lm, args, out):
    out.logits = out.logits * 3


def test_modes_and_draws_are_left_alone():
    lm = decoder("gpt2").train()
    lm.transformer.h[1].eval()
    before = [module.training for module in lm.modules()]
    state = torch.get_rng_state()
    assert logits_are_linear(lm)
    assert [module.training for module in lm.modules()] == before
    assert torch.equal(torch.get_rng_state(), state)
