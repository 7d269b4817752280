"""Blocks of any kind, one after the other."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from gia.attention import Memory
from gia.nn.context import GraphContext
from gia.nn.copies import copies


class Stack(nn.ModuleList):
    """Blocks that share one call, ``block(x, graphs, memory=None)``: ours and PyG's, in any order.

    Args:
        block (nn.Module or list of nn.Module): A block, or different ones in their order.
        depth (int): How often they are repeated; each copy is initialised anew.

    Shapes:
        - **x**, **output:** ``[N, D]``

    Raises:
        ValueError: If ``depth`` is below 1, or there is no block.
    """

    def __init__(self, block: nn.Module | Sequence[nn.Module], depth: int = 1):
        super().__init__(copies(block, depth))
        self.is_compiled = False

    def forward(
        self, x: Tensor, graphs: GraphContext, memories: Sequence[Memory | None] | None = None
    ) -> Tensor:
        """The nodes after the last block.

        Args:
            x (Tensor): The nodes, ``[N, D]``.
            graphs (GraphContext): What all blocks know of their graphs.
            memories (list of Memory, optional): What each block remembers.
        """
        memories = [None] * len(self) if memories is None else memories
        for block, memory in zip(self, memories, strict=True):
            # What is remembered is not compiled.
            call = block.forward if self.is_compiled and memory is not None else block
            x = call(x, graphs, memory)
        return x

    def compile_blocks(self, **options: Any) -> None:
        """Let :func:`torch.compile` make kernels of each block; options are those of torch."""
        self.is_compiled = True
        for block in self:
            block.compile(**{"dynamic": True, **options})

    def __getitem__(self, index: int | slice) -> nn.Module:
        # A part of a stack is a list: nothing is copied.
        if isinstance(index, slice):
            return nn.ModuleList(list(self)[index])
        return super().__getitem__(index)
