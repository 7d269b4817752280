"""Several molecules in one item: one graph, in which each node knows its molecule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

BETWEEN = " "  # the molecules of an item in its ``text``: a blank is in no SMILES
TEXTS = ("text", "smiles")


def components(text: str) -> list[str]:
    """The molecules of an item, out of its ``text``."""
    return text.split(BETWEEN)


def join_components(graphs: Sequence[Data]) -> Data:
    """One graph of several, in their order, with no edge between them.

    ``component`` numbers them from 0, so that models tell a solute from its solvent. What is of
    whole graphs, such as targets, is to be given to the joined graph.

    Args:
        graphs: with the same attributes, of nodes, edges, and ``text`` or ``smiles``; they may be
            joined ones.

    Shapes:
        component: [N], int64

    Raises:
        ValueError: if there is no graph.
    """
    if not graphs:
        raise ValueError("there must be at least one graph to join")
    batch = Batch.from_data_list([_without_component(graph) for graph in graphs])
    joined = Data.from_dict(batch.to_dict())
    del joined.batch, joined.ptr
    numbers: list[Tensor] = []
    for graph in graphs:
        first = int(numbers[-1].max()) + 1 if numbers else 0
        own = graph.get("component")
        numbers.append(first + (torch.zeros(graph.num_nodes).long() if own is None else own))
    joined.component = torch.cat(numbers)
    for key in TEXTS:
        if key in joined:
            joined[key] = BETWEEN.join(joined[key])
    return joined


def split_components(graph: Data) -> list[tuple[list[int], Data]]:
    """The nodes of each molecule of an item, and the molecule; all and itself of other graphs."""
    if "component" not in graph:
        return [(list(range(graph.num_nodes)), graph)]
    parts = []
    for number, text in enumerate(components(graph.text)):
        own = graph.component == number
        part = graph.subgraph(own)
        part.text = text
        parts.append((own.nonzero().flatten().tolist(), part))
    return parts


def _without_component(graph: Data) -> Data:
    graph = copy.copy(graph)
    if "component" in graph:
        del graph.component
    return graph


def of_components(
    describe: Callable[[Sequence[str]], tuple[list[str], np.ndarray]],
    texts: Sequence[str],
    places: Sequence[int] | None = None,
) -> tuple[list[str], np.ndarray]:
    """Descriptors of each part of n items, those of the first before those of the second.

    Args:
        describe: from texts to the names of F descriptors and ``[n, F]``; it is called once, with
            every different one.
        texts: of the items.
        places: of the C parts that are described; all if left out.

    Returns:
        The names, with ``_1``, ``_2``, ... for the part where several are described, and
        ``[n, C F]``.

    Raises:
        ValueError: if all parts are described, and one item has more of them than another.
    """
    parts = [components(text) for text in texts]
    if places is None:
        places = range(len(parts[0]) if parts else 1)
        for text, own in zip(texts, parts, strict=True):
            if len(own) != len(places):
                raise ValueError(
                    f"all items must have as many molecules, but {texts[0]!r} has {len(places)} "
                    f"and {text!r} has {len(own)}"
                )
    different = list(dict.fromkeys(row[i] for row in parts for i in places))
    names, values = describe(different)
    number = {text: i for i, text in enumerate(different)}
    each = [values[[number[row[i]] for row in parts]] for i in places]
    if len(places) > 1:
        names = [f"{name}_{i + 1}" for i in range(len(places)) for name in names]
    return names, np.concatenate(each, axis=1)
