"""The path to torch's kernel for ragged batches, which runs on a GPU only: stood in for here."""

import pytest
import torch
from laws import assert_same, layer_inputs, outputs_and_gradients
from torch.nn.functional import scaled_dot_product_attention

from gia.attention import CausalScope, DotProduct, FullScope, FusedSoftmax, fused
from gia.ops import varlen


def by_graph(q, k, v, ptr_q, ptr_k, max_q, max_k, *, scale, window_size):
    """What torch documents of varlen_attn, graph by graph."""
    assert q.size(-1) % 8 == 0
    assert q.dtype == k.dtype == v.dtype
    assert ptr_q.dtype == ptr_k.dtype == torch.int32
    assert max_q == max_k == int(ptr_q.diff().max())
    out = []
    for start, stop in zip(ptr_q[:-1].tolist(), ptr_q[1:].tolist(), strict=True):
        qkv = (t[start:stop].transpose(0, 1) for t in (q, k, v))
        causal = {(-1, 0): True, (-1, -1): False}[window_size]
        out.append(
            scaled_dot_product_attention(*qkv, is_causal=causal, scale=scale).transpose(0, 1)
        )
    return torch.cat(out)


@pytest.mark.parametrize("scope", [CausalScope, FullScope])
@pytest.mark.parametrize("width", [32, 20])  # 16 and 10 channels a head
@pytest.mark.parametrize("operation", ["sum", "moments"])
@pytest.mark.usefixtures("float64")
def test_it_is_the_edges(scope, width, operation, monkeypatch):
    x, scope, _ = layer_inputs([150, 7, 1, 90], scope, width=width)
    x = x.view(-1, 2, width // 2)
    graph = FusedSoftmax(DotProduct(torch.randn_like(x), torch.randn_like(x)), scope)
    called = []
    monkeypatch.setattr(fused, "has_varlen_kernel", lambda q: True)
    monkeypatch.setattr(
        varlen, "varlen_attn", lambda *a, **k: called.append(1) or by_graph(*a, **k), raising=False
    )

    def call(graph):
        def of(x):
            out = getattr(graph, operation)(x)
            return torch.cat(out, dim=-1) if isinstance(out, tuple) else out

        return of

    results = [
        outputs_and_gradients(torch.nn.Identity(), x, call(form))
        for form in (graph, graph.to_edges())
    ]
    assert_same(*results, 1e-10)
    assert called


def test_features_come_in_the_precision_of_the_queries(monkeypatch):
    """As under autocast, where only projected features are in half precision."""
    monkeypatch.setattr(fused, "has_varlen_kernel", lambda q: True)
    monkeypatch.setattr(varlen, "varlen_attn", by_graph, raising=False)
    x, scope, _ = layer_inputs([5, 9], CausalScope)
    x = x.view(-1, 2, 8)
    q, k = torch.randn_like(x).bfloat16(), torch.randn_like(x).bfloat16()
    out = FusedSoftmax(DotProduct(q, k), scope).sum(x)
    assert out.dtype == x.dtype
    exact = FusedSoftmax(DotProduct(q.float(), k.float()), scope).to_edges().sum(x)
    torch.testing.assert_close(out, exact, rtol=0.05, atol=0.05)


def test_it_is_for_half_precision_on_a_gpu():
    assert not varlen.has_varlen_kernel(torch.zeros(1, 1, 8, dtype=torch.bfloat16))
