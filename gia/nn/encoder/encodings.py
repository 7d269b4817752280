"""Positional and structural encodings of nodes to vectors."""

import torch
from torch import Tensor, nn
from torch_geometric.nn.norm import BatchNorm

from gia.nn.soft_limit import soft_limit


class EncodingEncoder(nn.Module):
    """A linear map after a batch norm, as `"Recipe for a General, Powerful, Scalable Graph
    Transformer" <https://arxiv.org/abs/2205.12454>`_ reads random-walk probabilities, and a limit.

    Without one, a column that hardly varies in the training, such as the return after three steps
    where few molecules have a ring of three, is dozens of spreads away where it does, and rules the
    prediction: :func:`gia.nn.soft_limit.soft_limit`.

    Args:
        channels (int): Columns k of the encoding.
        width (int): Channels D of a node.

    Shapes:
        - **encoding:** ``[N, k]``
        - **output:** ``[N, D]``
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.norm = BatchNorm(channels, allow_single_element=True)  # a batch may be one node
        self.lin = nn.Linear(channels, width)

    def reset_parameters(self) -> None:
        self.norm.reset_parameters()
        self.lin.reset_parameters()

    def forward(self, encoding: Tensor) -> Tensor:
        return self.lin(soft_limit(self.norm(encoding.to(self.lin.weight.dtype))))


class LaplacianEncoder(nn.Module):
    r"""Eigenvectors of the Laplacian as vectors, whatever their signs:
    :math:`\rho\big(\phi(\mathbf{v}_k) + \phi(-\mathbf{v}_k)\big)_k`.

    `"Sign and Basis Invariant Networks" <https://arxiv.org/abs/2202.13013>`_, eq. 3, with
    :math:`\phi` a layer on each entry and :math:`\rho` linear. The sum is the same to the last bit,
    and which nodes have the same sign is lost with the sign.

    Args:
        vectors (int): Eigenvectors k.
        width (int): Channels D of a node.
        hidden (int): Channels of :math:`\phi`.

    Shapes:
        - **vectors:** ``[N, k]``
        - **output:** ``[N, D]``
    """

    def __init__(self, vectors: int, width: int, *, hidden: int = 16):
        super().__init__()
        self.scale = nn.Parameter(torch.empty(hidden))
        self.shift = nn.Parameter(torch.empty(hidden))
        self.out = nn.Linear(vectors * hidden, width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.scale)
        nn.init.normal_(self.shift)
        self.out.reset_parameters()

    def forward(self, vectors: Tensor) -> Tensor:
        turned = vectors.to(self.scale.dtype).unsqueeze(-1) * self.scale  # [N, k, hidden]
        even = (turned + self.shift).relu() + (self.shift - turned).relu()
        return self.out(even.flatten(1))
