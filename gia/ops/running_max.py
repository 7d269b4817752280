"""The running maximum along a sequence: what max over a causal scope comes to.

Torch's ``cummax`` runs on one thread and keeps an index of 8 bytes for each number. Here a sequence
is cut into about sqrt(L) blocks of about sqrt(L) nodes: all blocks are scanned side by side, then
their ends. One byte is kept for the gradient: whether a number is a record.
"""

import math

import torch
from torch import Tensor


def running_max_definition(x: Tensor) -> Tensor:
    return x.cummax(dim=1).values


def running_max(x: Tensor) -> Tensor:
    r""":math:`\mathbf{y}_i = \max_{j \le i} \mathbf{x}_j` for each channel.

    Where several nodes tie, the gradient goes to the last of them; NaN counts as the largest.

    Shapes:
        - **x**, **output:** ``[B, L, C]``
    """
    return _running_max(x)[0]


@torch.library.custom_op("gia::running_max", mutates_args=())
def _running_max(x: Tensor) -> tuple[Tensor, Tensor]:
    """The running maximum and where x is a record: as large as all before it, ``[B, L, C]``."""
    blocks = _in_blocks(x, fill=-math.inf)
    for node in range(1, blocks.size(2)):
        torch.maximum(blocks[:, :, node - 1], blocks[:, :, node], out=blocks[:, :, node])
    ends = blocks[:, :, -1]
    for block in range(1, ends.size(1)):
        torch.maximum(ends[:, block - 1], ends[:, block], out=ends[:, block])
    later = blocks[:, 1:, :-1]
    torch.maximum(later, ends[:, :-1, None], out=later)
    y = blocks.flatten(1, 2)[:, : x.size(1)].contiguous()
    return y, ((x == y) | x.isnan()).contiguous()


@_running_max.register_fake
def _(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape, dtype=torch.bool)


@torch.library.custom_op("gia::running_max_backward", mutates_args=())
def _running_max_backward(grad: Tensor, record: Tensor) -> Tensor:
    """Each record's sum of the gradients from itself to the next record, ``[B, L, C]``."""
    # Sums of many terms: in half precision they would stop growing.
    total = _in_blocks(grad, fill=0.0, dtype=torch.promote_types(grad.dtype, torch.float32))
    record = _in_blocks(record, fill=False)
    for node in range(total.size(2) - 2, -1, -1):
        after = node + 1
        total[:, :, node].add_(total[:, :, after].masked_fill(record[:, :, after], 0))
    # What leaves a block at its front goes to the last record of an earlier one.
    leaving = total[:, :, 0].masked_fill(record[:, :, 0], 0)
    ends = record.any(2)  # whether a block has a record at all
    arriving = torch.zeros_like(leaving)
    for block in range(arriving.size(1) - 2, -1, -1):
        passing = arriving[:, block + 1].masked_fill(ends[:, block + 1], 0)
        torch.add(leaving[:, block + 1], passing, out=arriving[:, block])
    total.masked_fill_(~record, 0)
    number = torch.arange(record.size(2), device=grad.device, dtype=torch.int16)
    last = torch.where(record, number.view(-1, 1), 0).amax(2, keepdim=True).long()
    total.scatter_add_(2, last, arriving.masked_fill_(~ends, 0).unsqueeze(2))
    return total.flatten(1, 2)[:, : grad.size(1)].to(grad.dtype).contiguous()


@_running_max_backward.register_fake
def _(grad: Tensor, record: Tensor) -> Tensor:
    return grad.new_empty(grad.shape)


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(output[1])


def _backward(ctx, grad: Tensor, _: Tensor | None) -> Tensor:
    return _running_max_backward(grad, *ctx.saved_tensors)


running_max.definition = running_max_definition  # compiled code has the kernel, too
_running_max.register_autograd(_backward, setup_context=_save)


def _in_blocks(x: Tensor, *, fill: float | bool, dtype: torch.dtype | None = None) -> Tensor:
    """A copy of ``[B, L, C]`` as ``[B, blocks, nodes, C]``, filled up at the end."""
    batch, length, channels = x.shape
    nodes = 2 ** (length.bit_length() // 2)  # about the root; lengths are often powers of 2
    number = -(-length // nodes)
    blocks = x.new_empty(batch, number * nodes, channels, dtype=dtype or x.dtype)
    blocks[:, :length] = x
    blocks[:, length:] = fill
    return blocks.view(batch, number, nodes, channels)
