"""From what a node is to the vector that stands for it."""

from torch import Tensor, nn
from torch_geometric.data import Data

from gia.nn.dropout import Dropout


class TokenEncoder(nn.Module):
    """An embedding of each token.

    Args:
        vocab_size (int): Symbols V.
        width (int): Channels D of a node.
        dropout (float): Dropout on the embeddings.

    Shapes:
        - **data.token:** ``[N]``
        - **output:** ``[N, D]``
    """

    def __init__(self, vocab_size: int, width: int, *, dropout: float = 0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.dropout = Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        # Small, because the same matrix makes the logits where head and embedding are tied.
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, data: Data) -> Tensor:
        return self.dropout(self.embedding(data.token))
