"""Attention as a graph: scores, then weights."""

from typing import get_args

from torch import Tensor, nn

from gia.adjacency.base import Adjacency
from gia.adjacency.cached import Memory
from gia.adjacency.scope import Scope
from gia.typing import Form, OptTensor


class AttentionAdjacency(nn.Module):
    """The graph that a layer's attention draws over the nodes of each sequence.

    Args:
        score (nn.Module): ``score(x, rotary)`` gives the scores of all pairs, not yet computed.
        normalize (nn.Module): ``normalize(scores, scope)`` turns them into weights; with a third
            argument, a :class:`~gia.adjacency.Memory`, it goes on from what that holds.
        form (str): ``"fused"`` never writes the graph out; ``"edges"`` holds every edge, which is
            the definition, for inspection and for tests. Both give the same values and gradients;
            with a memory there is one form.

    Shapes:
        - **x:** ``[N, D]``
        - **rotary:** ``[2, N, 1, d]``, optional

    Raises:
        ValueError: If the form is unknown.
    """

    def __init__(self, *, score: nn.Module, normalize: nn.Module, form: Form = "fused"):
        super().__init__()
        if form not in get_args(Form):
            raise ValueError(f"form must be one of {', '.join(get_args(Form))}, got {form!r}")
        self.score = score
        self.normalize = normalize
        self.form = form

    def forward(
        self, x: Tensor, scope: Scope, rotary: OptTensor = None, memory: Memory | None = None
    ) -> Adjacency:
        scores = self.score(x, rotary)
        if memory is not None:
            return self.normalize(scores, scope, memory)
        adjacency = self.normalize(scores, scope)
        return adjacency.to_edges() if self.form == "edges" else adjacency

    def extra_repr(self) -> str:
        return f"form={self.form}"
