"""What gia is held against, each the shortest honest statement of what it is.

Shapes as in :mod:`gia.typing`; these work on dense batches ``[B, L, D]``.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu
from torch_geometric.nn import TransformerConv

from gia.ops.rotate import rotate
from gia.typing import OptTensor


class QueryKey(nn.Module):
    """Queries and keys ``[B, H, L, d]`` of x ``[B, L, D]``, turned by ``rotary [2, L, 1, d]``."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)

    def split(self, x: Tensor) -> Tensor:
        """``[B, L, D]`` to ``[B, L, H, d]``."""
        return x.unflatten(-1, (self.heads, -1))

    def queries_and_keys(self, x: Tensor, rotary: OptTensor) -> tuple[Tensor, Tensor]:
        q, k = self.split(self.q_proj(x)), self.split(self.k_proj(x))
        if rotary is not None:
            q, k = rotate(q, rotary), rotate(k, rotary)
        return q.transpose(1, 2), k.transpose(1, 2)

    def causal_weights(self, x: Tensor, rotary: OptTensor) -> Tensor:
        """All weights of softmax attention, ``[B, H, L, L]``: row i holds what arrives at i."""
        q, k = self.queries_and_keys(x, rotary)
        later = torch.ones(x.size(1), x.size(1), dtype=torch.bool, device=x.device).triu(1)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
        return scores.masked_fill(later, -torch.inf).softmax(-1)


class PlainAttention(QueryKey):
    """The attention layer that everybody runs: q, k, v, o and torch's fused kernel, causal."""

    def __init__(self, width: int, heads: int):
        super().__init__(width, heads)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, rotary: OptTensor = None) -> Tensor:
        q, k = self.queries_and_keys(x, rotary)
        v = self.split(self.v_proj(x)).transpose(1, 2)
        out = scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(out.transpose(1, 2).flatten(2))


class FlashAttention(PlainAttention):
    """The same, held to the flash kernel."""

    def forward(self, x: Tensor, rotary: OptTensor = None) -> Tensor:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return super().forward(x, rotary)


class EagerGIN(QueryKey):
    r""":math:`\mathrm{MLP}_h((1 + \epsilon_h) X_h + A_h X_h)` A written out, causal."""

    def __init__(self, width: int, heads: int, multiplier: float = 0.5, eps: float = -1.0):
        super().__init__(width, heads)
        d = width // heads
        hidden = int(multiplier * d)
        self.eps = nn.Parameter(torch.full((heads,), eps))
        self.weight1, self.bias1 = (
            _uniform(heads, hidden, d),
            nn.Parameter(torch.zeros(heads, 1, hidden)),
        )
        self.gain = nn.Parameter(torch.ones(heads, 1, hidden))
        self.weight2, self.bias2 = (
            _uniform(heads, d, hidden),
            nn.Parameter(torch.zeros(heads, 1, d)),
        )

    def forward(self, x: Tensor, rotary: OptTensor = None) -> Tensor:
        A = self.causal_weights(x, rotary)  # [B, H, L, L]
        x = self.split(x).transpose(1, 2)  # [B, H, L, d]
        return self.update(x, A @ x)

    def update(self, x: Tensor, message: Tensor) -> Tensor:
        """``[B, H, L, d]`` each, to ``[B, L, D]``."""
        h = (1 + self.eps).view(-1, 1, 1) * x + message
        h = h @ self.weight1.mT + self.bias1
        h = silu(rms_norm(h, h.shape[-1:], eps=1e-5) * self.gain)
        return (h @ self.weight2.mT + self.bias2).transpose(1, 2).flatten(2)


class PaddedGIN(EagerGIN):
    """GIN over all pairs of each graph, as dense batches do it: padded, with a boolean mask."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k = self.queries_and_keys(x, None)
        x = self.split(x).transpose(1, 2)
        message = scaled_dot_product_attention(q, k, x, attn_mask=mask[:, None, None, :])
        return self.update(x, message)


class EagerPNA(QueryKey):
    r""":math:`\mathrm{MLP}_h([\sum, \mu, \max, \mathrm{var}]_{A_h} V_h)`, A written out, causal.

    The maximum over the neighbours takes a tensor of L x L x d for each head.
    """

    def __init__(self, width: int, heads: int, multiplier: float = 0.5):
        super().__init__(width, heads)
        d = width // heads
        hidden = int(multiplier * d)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.weight1 = _uniform(heads, hidden, 4 * d)
        self.weight2 = _uniform(heads, d, hidden)

    def forward(self, x: Tensor, rotary: OptTensor = None) -> Tensor:
        A = self.causal_weights(x, rotary)  # [B, H, L, L]
        v = self.split(self.v_proj(x)).transpose(1, 2)  # [B, H, L, d]
        earlier = torch.ones(x.size(1), x.size(1), dtype=torch.bool, device=x.device).tril()
        total = A @ v
        mean = total  # the weights that arrive at a node sum to 1
        var = (A @ v**2 - mean**2).clamp(min=0)
        neighbours = torch.where(earlier.unsqueeze(-1), v.unsqueeze(2), -torch.inf)
        largest = neighbours.max(dim=3).values  # of [B, H, L, L, d]
        h = torch.cat([total, mean, largest, var], dim=-1)
        h = silu(h @ self.weight1.mT) @ self.weight2.mT
        return self.o_proj(h.transpose(1, 2).flatten(2))


def transformer_conv(width: int, heads: int) -> TransformerConv:
    """PyG's attention: the weighted sum over given edges, without anything around it."""
    return TransformerConv(width, width // heads, heads, root_weight=False, bias=False)


def llama(*, vocab_size: int, width: int, heads: int, depth: int, hidden: int) -> nn.Module:
    """Hugging Face's ``LlamaForCausalLM`` with SDPA and tied embeddings, freshly initialised.

    Raises:
        ImportError: If transformers is not installed.
    """
    try:
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError as error:
        raise ImportError(
            "the Hugging Face model needs transformers: pip install gia[llm]"
        ) from error
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=hidden,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
        bos_token_id=None,
        eos_token_id=None,  # a generation never stops early
    )
    return LlamaForCausalLM(config)


def _uniform(heads: int, out_channels: int, in_channels: int) -> nn.Parameter:
    """Weights for each head alone, as :class:`torch.nn.Linear` starts them."""
    weight = torch.empty(heads, out_channels, in_channels)
    return nn.Parameter(weight.uniform_(-1, 1) / math.sqrt(in_channels))
