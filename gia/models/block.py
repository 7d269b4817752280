"""The pre-norm block."""

from torch import Tensor, nn

from gia.adjacency import Adjacency, Memory, Scope
from gia.conv import RMSNorm
from gia.typing import OptTensor


class Block(nn.Module):
    """``x + attention(norm(x))``, then ``x + mlp(norm(x))``.

    Args:
        width (int): Channels D of a node.
        attention (nn.Module): ``attention(x, scope, rotary, memory)``, ``[N, D]`` to ``[N, D]``.
        mlp (nn.Module, optional): ``[N, D]`` to ``[N, D]``; left out, the block is attention alone.
        dropout (float): Dropout on what each of the two adds.

    Shapes:
        - **x**, **output:** ``[N, D]``
    """

    def __init__(
        self,
        width: int,
        *,
        attention: nn.Module,
        mlp: nn.Module | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.attention_norm = RMSNorm(width)
        self.attention = attention
        self.mlp_norm = RMSNorm(width) if mlp is not None else None
        self.mlp = mlp
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, scope: Scope, rotary: OptTensor = None, memory: Memory | None = None
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), scope, rotary, memory))
        if self.mlp is not None:
            x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x

    def graph(self, x: Tensor, scope: Scope, rotary: OptTensor = None) -> Adjacency:
        """The attention graph that :meth:`forward` passes messages over."""
        return self.attention.adjacency(self.attention_norm(x), scope, rotary)
