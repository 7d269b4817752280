"""From a graph's nodes to its vector, where PyG has no aggregation for it."""

from torch import Tensor
from torch_geometric.nn.aggr import SumAggregation

from gia.typing import OptTensor


class ScaledSumAggregation(SumAggregation):
    r"""The sum over a constant, :math:`\frac{1}{c} \sum_i \mathbf{x}_i`.

    It tells how large a graph is, as a sum does and a mean does not, and stays in the range of the
    head's other inputs.

    Args:
        constant (float): About the nodes of a usual graph.

    Shapes:
        - **x:** ``[N, D]``
        - **output:** ``[B, D]``

    Raises:
        ValueError: If the constant is not positive.
    """

    def __init__(self, constant: float = 32.0):
        super().__init__()
        if not constant > 0:
            raise ValueError(f"the constant must be positive, got {constant}")
        self.constant = constant

    def forward(
        self,
        x: Tensor,
        index: OptTensor = None,
        ptr: OptTensor = None,
        dim_size: int | None = None,
        dim: int = -2,
    ) -> Tensor:
        return super().forward(x, index, ptr, dim_size, dim) / self.constant

    def __repr__(self) -> str:
        return f"{type(self).__name__}(constant={self.constant})"
