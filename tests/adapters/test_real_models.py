"""Trained models: every edge that an adapter keeps counts, and it learns what the base lacks.

The suite of laws in test_models.py runs on one of them too.
"""

import json
import math

import pytest
import torch
from decoders import MODELS, REAL, decoder, pretrained

import gia.adapters as adapters
from gia.adapters import SparseGINConfig

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("combine", ["sum", "per_head"])
@pytest.mark.parametrize("conv", ["gin", "gcn", "pna", "recombine"])
def test_law_7_every_edge_counts(conv, combine):
    """The derivative with respect to every kept weight of every layer is not zero."""
    model = decoder(REAL).double()
    story = model.generate(torch.tensor([[1]]), max_new_tokens=31, do_sample=False)
    options = {"conv": conv, "combine": combine, "cut": 0.5, "channels": 8, "activation": "silu"}
    adapters.add(model, SparseGINConfig.published(scale=0.5, **options))
    seen = []
    for layer in model.model.layers:
        weights = layer.gia_adapters.adapters["default"].weights
        weights.register_forward_hook(
            lambda module, args, weight: seen.append(weight.detach().requires_grad_()) or seen[-1]
        )
    out = model(input_ids=story).logits
    (out * torch.randn_like(out)).sum().backward()
    assert len(seen) == 5
    for weight in seen:
        kept = weight != 0
        assert kept.view(kept.size(0), -1).any(-1).sum() > 32  # more than self loops
        assert bool((weight.grad[kept] != 0).all())


@pytest.mark.parametrize("name", [REAL, pytest.param("stories15M", marks=pytest.mark.slow)])
def test_a_few_steps_on_real_text_help_on_text_held_out(name, shared_data):
    """Teachers of arithmetic write otherwise than the stories that the base knows."""
    model = pretrained(name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODELS / name)
    with (shared_data / "text/gsm8k/train.jsonl").open() as file:
        texts = [json.loads(next(file))["question"] for _ in range(60)]
    ids = torch.tensor(tokenizer("\n".join(texts)).input_ids)
    batches = ids[: ids.numel() // 256 * 256].view(-1, 4, 64)
    *training, first, second = batches[:14]

    @torch.no_grad()
    def held_out():
        both = torch.cat([first, second])
        return float(model.eval()(input_ids=both, labels=both).loss)

    before = held_out()
    adapters.add(model, SparseGINConfig())
    assert math.isclose(held_out(), before, rel_tol=1e-5)
    optimizer = torch.optim.AdamW(adapters.parameters(model), 3e-3)
    model.train()
    for batch in training:
        optimizer.zero_grad()
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
    assert held_out() < before - 0.05
