"""From what a node is, and where it stands, to the vector that stands for it."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn
from torch_geometric.data import Data

from gia.nn.dropout import Dropout
from gia.nn.encoder.encodings import EncodingEncoder, LaplacianEncoder
from gia.nn.encoder.features import Features

# What reads an encoding, by its attribute's name; EncodingEncoder reads any other.
ENCODERS = {"laplacian_eigenvector_pe": LaplacianEncoder, "component": nn.Embedding}


class NodeEncoder(nn.Module):
    """What a node is, plus where in its graph it stands: a sum of vectors.

    An embedding of ``data.token``, :class:`Features` of ``data.x``, and for each positional
    encoding what a module makes of the attribute of its name. Whatever the data has not is left
    out; where nothing is known there is one trained vector for all nodes. Language models and
    predictors have this encoder alike, so that one can start from the other.

    Args:
        width (int): Channels D of a node.
        tokens (int): Symbols V of ``data.token``; 0 leaves it out.
        categories (list of int): Size of each categorical column of ``data.x``.
        channels (int): Columns of a continuous ``data.x``.
        encodings (dict): Columns of each encoding, by its attribute's name, such as
            ``{"random_walk_pe": 16}``; of ``component``, how many there are.
        encoders (dict): ``encoder(columns, width)``, the module of an encoding, by its attribute's
            name; those that are not named are read by :class:`EncodingEncoder`,
            ``laplacian_eigenvector_pe`` by :class:`LaplacianEncoder` and ``component``, which tells
            the molecules of an item apart, by an embedding.
        dropout (float): Dropout on the sum.
        token_std (float): Standard deviation of the embedding of tokens at the start.

    Shapes:
        - **data.token**, **data.component:** ``[N]``, **data.x:** ``[N, F]``, **data[name]:**
          ``[N, k]``
        - **output:** ``[N, D]``

    Raises:
        ValueError: If the data has not what the encoder takes.
    """

    def __init__(
        self,
        width: int,
        *,
        tokens: int = 0,
        categories: Sequence[int] = (),
        channels: int = 0,
        encodings: Mapping[str, int] | None = None,
        encoders: Mapping[str, Callable[[int, int], nn.Module]] | None = None,
        dropout: float = 0.0,
        token_std: float = 1.0,
    ):
        super().__init__()
        self.columns = dict(encodings or {})
        encoders = ENCODERS | dict(encoders or {})
        self.token_std = token_std
        self.token = nn.Embedding(tokens, width) if tokens else None
        known = tokens and not categories and not channels
        self.features = None if known else Features(width, categories=categories, channels=channels)
        self.encodings = nn.ModuleDict(
            {
                name: encoders.get(name, EncodingEncoder)(number, width)
                for name, number in self.columns.items()
            }
        )
        self.dropout = Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        if self.token is not None:
            nn.init.normal_(self.token.weight, std=self.token_std)
        for part in (self.features, *self.encodings.values()):
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()

    def forward(self, data: Data) -> Tensor:
        parts = []
        if self.token is not None:
            parts.append(self.token(_token(data)))
        if self.features is not None:
            parts.append(self.features(data.get("x"), data.num_nodes))
        for name, encoder in self.encodings.items():
            read = _component if name == "component" else _columns
            parts.append(encoder(read(data, name, self.columns[name])))
        return self.dropout(sum(parts[1:], parts[0]))


def _token(data: Data) -> Tensor:
    if data.get("token") is None:
        raise ValueError(
            "the model reads symbols, but the data has no token: give it the data settings that it "
            "was made for"
        )
    return data.token


def _component(data: Data, name: str, number: int) -> Tensor:
    if data.get(name) is None:
        raise ValueError(
            f"the model tells {number} components of a graph apart, the data has no {name}: join "
            "them with gia.data.join_components, or give data.smiles_column=[a,b]"
        )
    return data[name]


def _columns(data: Data, name: str, number: int) -> Tensor:
    found = data.get(name)
    if found is not None and found.dim() == 1:
        found = found.unsqueeze(1)
    if found is None or found.size(1) != number:
        what = "none" if found is None else f"{found.size(1)} columns"
        raise ValueError(
            f"the model takes {number} columns of {name}, the data has {what}: give it the data "
            "settings that it was made for"
        )
    return found
