"""What is told of a layer's attention."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gia.adapters.attention_function import OBSERVER, _looking_on

transformers = pytest.importorskip("transformers")
KERNEL = "gia_test_kernel"


def eager_attention_forward(module, query, key, value, attention_mask, **kwargs):
    return value, None


class Layer(nn.Module):
    """Attention in a file that has its own eager kernel."""


@pytest.mark.parametrize(("kernel", "told"), [("eager", 1.5), (KERNEL, 1.5), ("sdpa", None)])
def test_the_cap_on_scores_is_told_where_the_kernel_has_it(kernel, told, monkeypatch):
    """Torch's kernel ignores it, so that attention is without it."""
    functions = transformers.AttentionInterface._global_mapping
    for name in (KERNEL, "sdpa"):
        monkeypatch.setitem(functions, name, eager_attention_forward)
    layer, seen = Layer(), []
    layer.__dict__[OBSERVER] = SimpleNamespace(looks_on=True, observe=seen.append)
    query = torch.randn(1, 2, 3, 4)
    _looking_on(kernel)(layer, query, query, query, None, softcap=1.5)
    assert [observed.softcap for observed in seen] == [told]
