"""What holds on the CPU holds on a GPU; skipped where there is none."""

import copy
from unittest.mock import Mock

import pytest
import torch
from decoders import decoder
from laws import (
    ATTENTIONS,
    SCOPES,
    SPARSE_ATTENTIONS,
    assert_same,
    layer_inputs,
    make_attention,
    make_model,
    outputs_and_gradients,
    sequences,
)

from gia import adapters
from gia.adapters import SparseGINConfig
from gia.data import SequenceLoader, TokenBatchSampler
from gia.ops import varlen
from gia.ops.linear_cross_entropy import LOGITS, linear_cross_entropy
from gia.ops.running_max import running_max

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
LENGTHS = [7, 0, 1, 40, 133, 40]


def results(name, scope, dtype, device, width=64, heads=2):
    """Outputs and gradients of a layer on a ragged batch: the same one, wherever it runs."""
    torch.manual_seed(0)
    layer = make_attention(name, width, heads)
    x, over, angles = layer_inputs(LENGTHS, scope, width, heads)
    over = scope(over.ptr.to(device), over.sizes)
    layer, x, angles = (part.to(device, dtype) for part in (layer, x, angles))
    found = outputs_and_gradients(layer, x, lambda x: layer(x, over, angles))
    return {name: value.cpu().double() for name, value in found.items()}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", ATTENTIONS + SPARSE_ATTENTIONS)
def test_layers_agree_with_the_cpu(name, scope):
    expected = results(name, scope, torch.float64, "cpu")
    assert_same(results(name, scope, torch.float64, "cuda"), expected, 1e-10)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", ["gin", "pna", "softmax"])
def test_half_precision_is_near(name, scope, monkeypatch):
    """By torch's kernel for ragged batches, where it has one (PNA's moments are in float32)."""
    expected = results(name, scope, torch.float64, "cpu")
    if varlen.HAS_RAGGED_KERNEL:
        kernel = Mock(side_effect=varlen.varlen_attn)
        monkeypatch.setattr(varlen, "varlen_attn", kernel)
    found = results(name, scope, torch.bfloat16, "cuda")
    if varlen.HAS_RAGGED_KERNEL:
        assert kernel.called == (name != "pna")
    # Rounding changes which of two neighbours is the largest, and so whom a gradient goes to.
    for part in ["output"] if name == "pna" else expected:
        value = expected[part]
        assert (found[part] - value).norm() <= 0.05 * value.norm(), part


def test_running_max_agrees_with_the_cpu():
    x = torch.randn(3, 301, 5).mul(4).round()  # with ties
    found = []
    for device in ("cpu", "cuda"):
        here = x.to(device, copy=True).requires_grad_()
        y = running_max(here)
        y.backward(torch.linspace(-1, 1, y.numel(), device=device).view_as(y))
        found.append((y.detach().cpu(), here.grad.cpu()))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])


@pytest.mark.parametrize("precision", ["float32", "autocast", "bfloat16"])
@pytest.mark.parametrize("name", ["gin", "pna", "softmax"])
def test_a_training_step_does_not_wait_for_the_gpu(name, precision):
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    model = make_model(name).to("cuda", dtype)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    graphs = sequences([7, 5, 300, 6])
    loader = SequenceLoader(graphs, TokenBatchSampler([g.num_nodes for g in graphs], 1000))
    batches = [batch.to("cuda") for batch in loader]
    before = torch.cuda.get_sync_debug_mode()
    for mode in ("default", "error"):  # the first round loads the kernels
        torch.cuda.set_sync_debug_mode(mode)
        try:
            for batch in batches:
                optimizer.zero_grad()
                with torch.autocast("cuda", torch.bfloat16, enabled=precision == "autocast"):
                    loss = torch.nn.functional.cross_entropy(model(batch), batch.y)
                loss.backward()
                optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_without_logits_on_the_gpu(dtype, monkeypatch):
    """A few rows at a time, in any precision, as on the CPU."""
    monkeypatch.setitem(LOGITS, "cuda", 61 * 5)
    torch.manual_seed(0)
    x, weight = torch.randn(23, 16, requires_grad=True), torch.randn(61, 16)
    y = torch.randint(61, (23,))
    found = []
    for device in ("cpu", "cuda"):
        at = x.detach().to(device, dtype).requires_grad_()
        losses = linear_cross_entropy(at, weight.to(device, dtype), y.to(device))
        losses.square().sum().backward()
        found.append((losses.detach().cpu(), at.grad.cpu().float()))
    tolerance = 1e-4 if dtype == torch.float32 else 0.05
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["llama", "mistral", "gemma3", "gpt2"])
def test_an_adapter_on_the_gpu(kind):
    """Its identity, its likeness with the CPU's, and its cache."""
    model = decoder(kind).cuda()
    ids = torch.randint(2, 61, (2, 12), device="cuda")
    with torch.no_grad():
        before = model(input_ids=ids).logits
        adapters.add(model, SparseGINConfig(channels=4))
        assert torch.equal(model(input_ids=ids).logits, before)
    for parameter in adapters.parameters(model):
        torch.nn.init.normal_(parameter)
    model = model.double()
    adapted = model(input_ids=ids).logits
    adapted.square().mean().backward()
    assert all(parameter.grad is not None for parameter in adapters.parameters(model))
    on_cpu = copy.deepcopy(model).cpu()(input_ids=ids.cpu()).logits
    # Hugging Face's models make their positions' angles in single precision.
    torch.testing.assert_close(adapted.cpu(), on_cpu, rtol=1e-4, atol=1e-4)
    settings = {"max_new_tokens": 8, "do_sample": False}
    cached = model.generate(ids, **settings)
    assert torch.equal(cached, model.generate(ids, use_cache=False, **settings))
