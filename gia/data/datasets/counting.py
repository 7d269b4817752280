"""Bags and graphs made for a question whose answer is a count, or is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch_geometric.data import Data, InMemoryDataset
from torch_geometric.utils import degree, to_undirected

from gia.data.datasets.base import check_choice

SEEN = 32  # bags that are known, of the task that asks whether one is


class Counting(InMemoryDataset):
    """Graphs of which each node is asked something that a sum can tell, and mostly no mean.

    A bag is a graph without edges: some copies of two to four nodes, each of one of some kinds. A
    mean over the bag tells the shares of its kinds, which are the same however many copies it has
    (`"How Powerful are Graph Neural Networks?" <https://arxiv.org/abs/1810.00826>`_, section 5).
    The answer is a class, for each node:

    - ``"count"``: how many nodes are of its kind, itself among them;
    - ``"parity"``: whether they are an odd number;
    - ``"majority"``: whether no kind has more nodes than its own. Shares do say it;
    - ``"multiset"``: whether the bag has been seen before, as one of 32 that half of the graphs
      are, each time in another order. Of the others half are twice such a bag, which has the same
      shares, and half differ from one in a single node;
    - ``"degree"``: of a random graph, whose nodes are alike, how many neighbours the node has.

    Items have ``x [N, 1]`` and ``y [N, 1]``, both int64.

    Args:
        task: one of these.
        number: of graphs.
        kinds: of nodes.
        largest: the most nodes of a bag, or of a graph for ``"degree"``.
        seed: of what is drawn.
        transform: called with each item whenever it is fetched.

    Raises:
        ValueError: if there is no such task, or a number is out of its range.
    """

    def __init__(
        self,
        task: str = "count",
        *,
        number: int = 4000,
        kinds: int = 4,
        largest: int = 16,
        seed: int = 0,
        transform: Callable[[Data], Data] | None = None,
    ) -> None:
        check_choice("dataset.task", task, TASKS)
        for name, value, least in (
            ("number", number, 1), ("kinds", kinds, 2), ("largest", largest, 8),
        ):  # fmt: skip
            if value < least:
                raise ValueError(f"data.dataset.{name} must be at least {least}, got {value}")
        super().__init__(None, transform)
        draw = torch.Generator().manual_seed(seed)
        make = TASKS[task]
        if task == "multiset":
            make = partial(make, seen=[_bag(kinds, largest // 2, draw) for _ in range(SEEN)])
        graphs = [make(kinds, largest, draw) for _ in range(number)]
        for row, graph in enumerate(graphs):
            graph.name = f"{task}_{row}"
        self.data, self.slices = self.collate(graphs)


def _bag(kinds: int, largest: int, draw: torch.Generator) -> Tensor:
    """So many nodes at most, ``[N]``: some copies of a few."""
    few = int(torch.randint(2, 5, (), generator=draw))
    copies = int(torch.randint(1, largest // few + 1, (), generator=draw))
    kind = torch.randint(kinds, (few,), generator=draw).repeat(copies)
    return kind[torch.randperm(len(kind), generator=draw)]


def _of_bag(answer: Callable[[Tensor], Tensor]) -> Callable[[int, int, torch.Generator], Data]:
    def graph(kinds: int, largest: int, draw: torch.Generator) -> Data:
        kind = _bag(kinds, largest, draw)
        return _data(kind, answer(kind))

    return graph


def _count(kind: Tensor) -> Tensor:
    return kind.bincount()[kind]


def _is_commonest(kind: Tensor) -> Tensor:
    return (_count(kind) == kind.bincount().max()).long()


def _recalled(kinds: int, largest: int, draw: torch.Generator, seen: list[Tensor]) -> Data:
    """One of the bags that are known, or another that is near to one; shuffled."""
    known, twice = torch.rand(2, generator=draw) < 0.5
    kind = seen[int(torch.randint(len(seen), (), generator=draw))]
    if not known and twice:
        kind = kind.repeat(2)
    elif not known:
        kind = kind.clone()
        kind[0] = (kind[0] + torch.randint(1, kinds, (), generator=draw)) % kinds
    counts = kind.bincount(minlength=kinds)
    answer = any(torch.equal(counts, bag.bincount(minlength=kinds)) for bag in seen)
    kind = kind[torch.randperm(len(kind), generator=draw)]
    # What has been seen is to be seen again: each order is an item of its own.
    return _data(kind, torch.full_like(kind, int(answer)), text=str(kind.tolist()))


def _random_graph(kinds: int, largest: int, draw: torch.Generator) -> Data:
    """Each pair is joined by a chance that differs from graph to graph."""
    nodes = int(torch.randint(2, largest + 1, (), generator=draw))
    pairs = torch.combinations(torch.arange(nodes)).t()
    chance = torch.rand((), generator=draw)
    edges = pairs[:, torch.rand(pairs.size(1), generator=draw) < chance]
    edge_index = to_undirected(edges, num_nodes=nodes)
    neighbours = degree(edge_index[1], nodes, dtype=torch.long)
    # Nothing is alike in two graphs, but for the nodes: only the same edges are duplicates.
    return _data(torch.zeros_like(neighbours), neighbours, edge_index, f"{nodes} {edges.tolist()}")


def _data(
    kind: Tensor, answer: Tensor, edge_index: Tensor | None = None, text: str | None = None
) -> Data:
    """A graph; bags that are equal but for their order are duplicates, unless a text says more."""
    if edge_index is None:
        edge_index = torch.empty(2, 0, dtype=torch.long)
    return Data(
        x=kind.unsqueeze(1),
        y=answer.unsqueeze(1),
        edge_index=edge_index,
        text=text or str(sorted(Counter(kind.tolist()).items())),
        num_nodes=len(kind),
    )


TASKS = {
    "count": _of_bag(_count),
    "parity": _of_bag(lambda kind: _count(kind) % 2),
    "majority": _of_bag(_is_commonest),
    "multiset": _recalled,
    "degree": _random_graph,
}
