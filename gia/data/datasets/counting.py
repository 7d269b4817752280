"""Bags and graphs made for a question whose answer is a count, or is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import degree, to_undirected

from gia.data.datasets.base import check_choice

# Of a bag's kinds [N]: the answer for each node, [N].
Answer = Callable[[Tensor], Tensor]


def counting(
    task: str = "count",
    *,
    number: int = 4000,
    kinds: int = 4,
    smallest: int = 4,
    largest: int = 16,
    seed: int = 0,
) -> list[Data]:
    """Graphs of which each node is asked something that sums can tell, and means sometimes cannot.

    A bag is a graph without edges, whose nodes are of one of some kinds (`"How Powerful are Graph
    Neural Networks?" <https://arxiv.org/abs/1810.00826>`_, section 5, says which of sum, mean and
    maximum tell bags apart). The answer is a class, for each node:

    - ``"count"``: how many nodes are of its kind, itself among them. The shares of kinds do not say
      it, since bags differ in size;
    - ``"parity"``: whether they are an odd number;
    - ``"majority"``: whether no kind has more nodes than its own. Shares do say it;
    - ``"multiset"``: of two bags in one graph, whether they hold as many of each kind. Half of
      those that do not hold equal shares in another number, the others differ in one node;
    - ``"degree"``: of a random graph, how many neighbours the node has.

    Args:
        task: one of these.
        number: of graphs.
        kinds: of nodes.
        smallest, largest: nodes of a bag, or of a graph for ``"degree"``.
        seed: of what is drawn.

    Returns:
        Graphs with ``x [N, 1]`` and ``y [N, 1]``, both int64.

    Raises:
        ValueError: if there is no such task, or a number is out of its range.
    """
    check_choice("dataset.task", task, TASKS)
    for name, value, least in (
        ("number", number, 1), ("kinds", kinds, 2), ("smallest", smallest, 2),
        ("largest", largest, smallest),
    ):  # fmt: skip
        if value < least:
            raise ValueError(f"data.dataset.{name} must be at least {least}, got {value}")
    draw = torch.Generator().manual_seed(seed)
    graphs = []
    for row in range(number):
        size = int(torch.randint(smallest, largest + 1, (), generator=draw))
        kind = torch.randint(kinds, (size,), generator=draw)
        graphs.append(TASKS[task](kind, kinds, draw))
        graphs[row].name = f"{task}_{row}"
    return graphs


def _of_bag(answer: Answer) -> Callable[[Tensor, int, torch.Generator], Data]:
    def graph(kind: Tensor, kinds: int, draw: torch.Generator) -> Data:
        return _data(kind, answer(kind), kind)

    return graph


def _count(kind: Tensor) -> Tensor:
    return kind.bincount()[kind]


def _is_commonest(kind: Tensor) -> Tensor:
    return (_count(kind) == kind.bincount().max()).long()


def _two_bags(kind: Tensor, kinds: int, draw: torch.Generator) -> Data:
    """A bag and another, shuffled: alike, or in one of two ways not."""
    equal, share = torch.rand(2, generator=draw) < 0.5
    other = kind
    if not equal and share:
        other = kind.repeat(2)
        if torch.rand((), generator=draw) < 0.5:
            kind, other = other, kind
    elif not equal:
        other = kind.clone()
        other[0] = (other[0] + torch.randint(1, kinds, (), generator=draw)) % kinds
    other = other[torch.randperm(len(other), generator=draw)]
    both = torch.cat([kind, other + kinds])
    return _data(both, torch.full_like(both, int(equal)), both)


def _random_graph(kind: Tensor, kinds: int, draw: torch.Generator) -> Data:
    """Each pair is joined by a chance that differs from graph to graph."""
    nodes = len(kind)
    pairs = torch.combinations(torch.arange(nodes)).t()
    chance = torch.rand((), generator=draw)
    edges = pairs[:, torch.rand(pairs.size(1), generator=draw) < chance]
    edge_index = to_undirected(edges, num_nodes=nodes)
    neighbours = degree(edge_index[1], nodes, dtype=torch.long)
    return _data(kind, neighbours, edges.flatten(), edge_index)


def _data(kind: Tensor, answer: Tensor, drawn: Tensor, edge_index: Tensor | None = None) -> Data:
    # Equal bags are duplicates, whatever their order: a split keeps them together.
    text = (
        str(sorted(Counter(drawn.tolist()).items())) if edge_index is None else str(drawn.tolist())
    )
    if edge_index is None:
        edge_index = torch.empty(2, 0, dtype=torch.long)
    return Data(
        x=kind.unsqueeze(1), y=answer.unsqueeze(1), edge_index=edge_index, text=text,
        num_nodes=len(kind),
    )  # fmt: skip


TASKS = {
    "count": _of_bag(_count),
    "parity": _of_bag(lambda kind: _count(kind) % 2),
    "majority": _of_bag(_is_commonest),
    "multiset": _two_bags,
    "degree": _random_graph,
}
