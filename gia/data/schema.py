"""What an item is, in this one place.

Every dataset hands out PyG ``Data``: one graph each, of N nodes and E edges. All attributes but the
number of nodes are optional; all items of a dataset have the same ones.

==================  ==============  ==============================================================
attribute           shape           what
==================  ==============  ==============================================================
``x``               ``[N, F]``      features of nodes: float32, or int64 categories in each column
``token``           ``[N]``         int64, the symbol of each node of a sequence
``edge_index``      ``[2, E]``      int64, edges from ``edge_index[0]`` to ``edge_index[1]``
``edge_attr``       ``[E, F]``      features of edges: float32, or int64 categories
``edge_weight``     ``[E]``         float32
``pos``             ``[N, 3]``      float32, coordinates, as everywhere in PyG
``cell``            ``[1, 3, 3]``   float32, of a crystal, the vectors of its lattice in the rows
``seq_pos``         ``[N]``         int64, the place in a sequence
``component``       ``[N]``         int64, which of an item's parts a node is of, such as a solute
                                    and its solvent: their order counts
``*_pe``            ``[N, k]``      float32, encodings: every attribute whose name ends in ``_pe``,
                                    as PyG's ``random_walk_pe`` and ``laplacian_eigenvector_pe``,
                                    or those that ``data.encodings`` names
``graph_features``  ``[1, F]``      float32, numbers of the whole graph; NaN where one is unknown
``y``               ``[1, T]``      float32, T targets of a graph: numbers, or the numbers of
                                    classes; NaN where one is missing
..                  ``[N, T]``      the same of each node
..                  ``[N]``         int64, for a language model: the symbol that follows; -100
                                    where it is not to be learned, as in a prompt
``y_bounds``        ``[1, T, 2]``   lower and upper bound of each target that is known by these
                                    alone, infinite elsewhere; ``[N, T, 2]`` of nodes
``weight``          ``[1]``         float32, how much the item counts in the loss; ``[N]`` of nodes
``label_mask``      ``[N]``         bool: ``y`` is the token of a class (language models)
``name``            str             for people
``row``             int             the place in its source, from 0
``text``            str             what splits compare: SMILES, a sequence, or the name
``prompt_length``   int             tokens before the first answer, of prompts with answers
``cut``             int             symbols that a sequence lost to its maximal length
==================  ==============  ==============================================================

What has other attributes keeps them. Batches are PyG's, with the list ``num_nodes_per_graph``.
"""

import copy
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import to_edge_index

# As ``y`` of a language model: what follows here is not to be learned.
IGNORED = -100
# One row a node, or an edge.
OF_NODES = ("x", "token", "pos", "seq_pos", "component")
OF_EDGES = ("edge_attr", "edge_weight")
COLUMNS = ("x", "edge_attr")  # [*, F], of one column where they have one dimension
OWN = ("name", "row", "text", "cut", "y", "num_nodes", "edge_index")  # which no node is told by
# What is kept for layers of the user's own, and how it becomes something that ours read.
UNREAD = {
    "pos": "torch_geometric.transforms.Distance makes edge_attr of it",
    "edge_weight": "give it as edge_attr",
    "train_mask": "parts of the split are made of whole graphs",
}


def conform(data: Data, row: int) -> Data:
    """A shallow copy of an item of any dataset with the types and shapes of the schema.

    Args:
        data: the item.
        row: where it stands in its dataset.

    Raises:
        ValueError: naming the item, if it cannot be one.
    """
    if not isinstance(data, Data):
        raise ValueError(
            f"row {row} is a {type(data).__name__}, but gia takes homogeneous graphs: an item must "
            "be a torch_geometric.data.Data"
        )
    data = copy.copy(data)
    data.name = name_of(data, row)
    data.row = int(data.get("row") if isinstance(data.get("row"), int) else row)
    where = f"row {data.row} ({data.name})"
    if data.get("edge_index") is None:
        _take_adjacency(data)
    data.edge_index = _tensor(data.edge_index, "edge_index", where)
    if not data.edge_index.is_floating_point():
        data.edge_index = data.edge_index.long()
    for key in (*OF_NODES, *OF_EDGES):
        value = data.get(key)
        if value is None:
            if key in data:
                del data[key]
            continue
        data[key] = _typed(_tensor(value, key, where), key)
    if data.get("graph_features") is not None:
        data.graph_features = _tensor(data.graph_features, "graph_features", where)
        data.graph_features = data.graph_features.to(torch.float32).reshape(1, -1)
    nodes = _num_nodes(data)
    data.num_nodes = nodes
    _check(data)
    return data


def name_of(data: Data, row: int) -> str:
    """What an item is called: its own name, if that is a text or a number."""
    name = data.get("name")
    return str(name) if isinstance(name, (str, int)) and name != "" else f"item_{row}"


def not_finite(data: Data) -> str | None:
    """The first attribute that a model may read and that holds NaN or an infinity."""
    read = [*OF_NODES, *OF_EDGES, *(key for key in data.to_dict() if key.endswith("_pe"))]
    for key in read:
        value = data.get(key)
        if isinstance(value, Tensor) and not value.isfinite().all():
            return key
    return None


def check_readable(graphs: Sequence[Data]) -> list[str]:
    """See that a model finds something in the items of a dataset.

    Args:
        graphs: the items, alike.

    Returns:
        What to say of attributes that gia's models do not read, as a user's own may.

    Raises:
        ValueError: if edges have to be made of faces first.
    """
    first = graphs[0]
    linked = any(data.num_edges for data in graphs)
    if first.get("face") is not None and not linked:
        raise ValueError(
            "the items have faces, but no edges: make edges of them with "
            "data.pre_transform._target_=torch_geometric.transforms.FaceToEdge"
        )
    notes = [
        f"{key} is not read by gia's models: {way}" for key, way in UNREAD.items() if key in first
    ]
    features = any(key in first for key in ("x", "token")) or bool(encodings(first))
    if not (features or linked):
        has = ", ".join(key for key in first.to_dict() if key not in OWN) or "nothing else"
        notes.append(
            f"gia's models learn nothing from these items, which have neither x nor edges, but "
            f"{has}: give nodes an x, or edges, as torch_geometric.transforms.KNNGraph makes of pos"
        )
    return notes


def check_alike(graphs: Iterable[Data]) -> None:
    """See that all items have the attributes of the first, and as many columns of each.

    Raises:
        ValueError: naming the first item that differs.
    """
    first, expected = None, {}
    for data in graphs:
        found = {key: _kind(data, key) for key in data.to_dict()}
        if first is None:
            first, expected = data.name, found
            continue
        for key in sorted(expected.keys() | found.keys()):
            if expected.get(key) != found.get(key):
                raise ValueError(
                    f"row {data.row} ({data.name}) has {_said(key, found)}, but {first} has "
                    f"{_said(key, expected)}: all items of a dataset must have the same attributes"
                )


def encodings(data: Data, names: Sequence[str] | None = None) -> dict[str, int]:
    """The positional encodings of an item and their columns.

    Args:
        data: the item.
        names: of their attributes; None takes all float attributes of nodes that end in ``_pe``.

    Raises:
        ValueError: if one that is named is no such attribute.
    """
    chosen = [key for key in data.to_dict() if key.endswith("_pe")] if names is None else names
    found = {}
    for key in sorted(chosen):
        value = data.get(key)
        fits = isinstance(value, Tensor) and value.is_floating_point()
        if not (fits and value.dim() in (1, 2) and value.size(0) == data.num_nodes):
            if names is None:
                continue
            raise ValueError(
                f"data.encodings names {key!r}, which must be a float attribute with one row a "
                f"node, but row {data.row} ({data.name}) has {_said(key, {key: _kind(data, key)})}"
            )
        found[key] = 1 if value.dim() == 1 else value.size(1)
    return found


def number_of_components(graphs: Sequence[Data]) -> int:
    """The most parts that an item has; 1 where none are told apart.

    Args:
        graphs: the items, alike.

    Raises:
        ValueError: naming an item with a negative number.
    """
    most = 0
    for data in graphs:
        if data.get("component") is None:
            return 1
        low, high = (int(end) for end in data.component.aminmax())
        if low < 0:
            raise ValueError(
                f"row {data.row} ({data.name}) has {low} in component, whose numbers count from 0"
            )
        most = max(most, high)
    return most + 1


def _take_adjacency(data: Data) -> None:
    """Edges out of ``adj_t``, which PyG's ToSparseTensor puts in their place; else there are none.

    Its rows are targets.
    """
    adjacency = data.get("adj_t")
    if adjacency is None:
        data.edge_index = torch.empty(2, 0, dtype=torch.long)
        return
    (target, source), value = to_edge_index(adjacency)
    data.edge_index = torch.stack([source, target])
    if value is not None and not bool((value == 1).all()):
        data["edge_weight" if value.dim() == 1 else "edge_attr"] = value
    del data.adj_t


def _tensor(value: Any, key: str, where: str) -> Tensor:
    """A tensor of what may be an array or a list."""
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{where}: {key} is a {type(value).__name__} and no tensor") from error


def _typed(value: Tensor, key: str) -> Tensor:
    if key in COLUMNS and value.dim() == 1:
        value = value.unsqueeze(1)
    integer = not value.is_floating_point() and key not in ("pos", "edge_weight")
    integer = integer or key in ("token", "seq_pos", "component")
    return value.to(torch.long if integer else torch.float32)


def _num_nodes(data: Data) -> int:
    encoded = [key for key in data.to_dict() if key.endswith("_pe")]
    for key in (*OF_NODES, *encoded):
        if isinstance(data.get(key), Tensor):
            return data[key].size(0)
    with warnings.catch_warnings():  # PyG's guess from the edges is the only one there is
        warnings.simplefilter("ignore")
        return int(data.num_nodes or 0)


def _check(data: Data) -> None:
    where = f"row {data.row} ({data.name})"
    edges = data.edge_index
    if edges.dim() != 2 or edges.size(0) != 2 or edges.is_floating_point():
        raise ValueError(f"{where}: edge_index must be [2, E] of integers, got {list(edges.shape)}")
    if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < data.num_nodes:
        wrong = int(edges.min()) if int(edges.min()) < 0 else int(edges.max())
        raise ValueError(
            f"{where}: edge_index names node {wrong}, but there are {data.num_nodes} "
            "nodes, counted from 0"
        )
    numbers = dict.fromkeys(OF_NODES, data.num_nodes) | dict.fromkeys(OF_EDGES, edges.size(1))
    for key, number in numbers.items():
        if key in data and data[key].size(0) != number:
            what = "nodes" if key in OF_NODES else "edges"
            raise ValueError(f"{where} has {number} {what}, but {data[key].size(0)} rows of {key}")


def _kind(data: Data, key: str) -> tuple:
    """What must be the same in all items."""
    value = data.get(key)
    if not isinstance(value, Tensor):
        return ("none",) if value is None else ("value",)
    joined = data.__cat_dim__(key, value) if value.dim() else 0  # along it sizes may differ
    free = {joined % value.dim()} if isinstance(joined, int) and value.dim() else set()
    shape = ["*" if dim in free else str(size) for dim, size in enumerate(value.shape)]
    return (str(value.dtype).removeprefix("torch."), *shape)


def _said(key: str, kinds: dict[str, tuple]) -> str:
    kind = kinds.get(key)
    if kind is None or kind[0] == "none":
        return f"no {key}"
    if kind[0] == "value":
        return f"{key} that is no tensor"
    return f"{key} [{', '.join(kind[1:])}] of {kind[0]}"
