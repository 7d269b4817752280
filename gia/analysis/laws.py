"""The laws that a model of graphs keeps, measured on any module: what a node's output may know."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from gia.analysis.any_module import call
from gia.attention import AttentionAdjacency
from gia.data.schema import OF_EDGES, OF_NODES
from gia.typing import Form

ORDER = ("seq_pos", "batch", "component")  # of nodes, but no content of theirs
NAMED = 3  # parameters or edges that are named
EDGES = 24  # the most that are taken away, one after the other
TINY = 1e-12


class Finding(NamedTuple):
    """What was found of one law.

    Attributes:
        law: its name.
        held: whether the model keeps it; None where it does not apply.
        worst: the largest difference that there should not be, as a share of the largest output;
            NaN where nothing is compared.
        detail: where it was, or why it does not apply.
    """

    law: str
    held: bool | None
    worst: float
    detail: str


def check_laws(
    model: nn.Module,
    graphs: Sequence[Data],
    *,
    causal: bool = False,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> list[Finding]:
    """Measure whether a model keeps the laws, in eval mode and double precision, on the CPU.

    ========== ==========================================================================
    repeat     the same input gives the same output
    batch      a graph's output is the same alone and beside others, padding included
    later      no node's output knows of later nodes: neither what nor how many (``causal``)
    order      nodes and edges in another order give the same outputs in that order
    forms      a graph of attention gives the same in every form that holds it
    gradient   every parameter has a gradient, finite and not all zeros
    edges      without any one of the data's edges the output is another
    ========== ==========================================================================

    Args:
        model (nn.Module): Called with the batch if it takes one argument; else with those of the
            batch's attributes that ``forward`` names, such as ``x``, ``edge_index`` and ``batch``.
            It gives a tensor with a row for each node or for each graph. It is copied.
        graphs (list of Data): Two at least; padding shows where their sizes differ.
        causal (bool): Whether it claims that nodes know no later ones.
        tolerance (float): The largest difference, as a share of the largest output.
        seed (int): Of the orders and directions that are tried.

    Raises:
        ValueError: If there are fewer than two graphs, or the model cannot be called with them.
    """
    if len(graphs) < 2:
        raise ValueError(f"the laws need two graphs at least, got {len(graphs)}")
    with _double(model) as subject:
        checked = _Checked(subject, [_as_double(data) for data in graphs], tolerance, seed)
        found = [checked.repeat()]
        if not found[0].held:
            return found  # whatever else differs may be chance
        found += [checked.batch(), checked.later(causal), checked.order(causal)]
        return [*found, checked.forms(), checked.gradient(), checked.edges()]


class _Checked:
    """A model and the graphs that it is measured on."""

    def __init__(self, model: nn.Module, graphs: list[Data], tolerance: float, seed: int) -> None:
        self.model, self.graphs, self.tolerance = model, graphs, tolerance
        self.generator = torch.Generator().manual_seed(seed)
        try:
            self.alone = [self.run([data]) for data in graphs]
        except (TypeError, AttributeError, KeyError, RuntimeError) as error:
            raise ValueError(
                f"{type(model).__name__} cannot be called with these graphs "
                f"({', '.join(graphs[0].to_dict())}): {error}"
            ) from error
        first = self.alone[0]
        if len(first) not in (1, graphs[0].num_nodes):
            raise ValueError(
                f"the model must give a row for each of {graphs[0].num_nodes} nodes, or one for "
                f"the graph, but gave {list(first.shape)}"
            )
        # Of a graph of one node that is not told; others are larger.
        self.of_nodes = all(
            len(out) == data.num_nodes for out, data in zip(self.alone, graphs, strict=True)
        )
        self.scale = max(float(out.abs().max()) for out in self.alone) + TINY

    def run(self, graphs: Sequence[Data]) -> Tensor:
        with torch.no_grad():
            return call(self.model, Batch.from_data_list(list(graphs)))

    def share(self, one: Tensor, other: Tensor) -> float:
        """The largest difference, NaN where an output is no number."""
        return float((one - other).abs().max()) / self.scale if one.numel() else 0.0

    def finding(self, law: str, worst: float, detail: str) -> Finding:
        held = worst <= self.tolerance  # not of NaN
        return Finding(law, held, worst, "" if held else detail)

    def worst(self, law: str, tries: Iterator[tuple[float, str]], where_none: str) -> Finding:
        """Of all differences the largest; a NaN is larger than any."""
        found = list(tries)
        if not found:
            return Finding(law, None, float("nan"), where_none)
        worst = max(found, key=lambda pair: float("inf") if pair[0] != pair[0] else pair[0])
        return self.finding(law, *worst)

    def repeat(self) -> Finding:
        again = [self.run([data]) for data in self.graphs]
        wrong = [
            data for data, out in zip(self.graphs, self.alone, strict=True) if out.isnan().any()
        ]
        if wrong:
            told = f"its output is no number on a graph of {wrong[0].num_nodes} nodes"
            return self.finding("repeat", float("nan"), told)
        differ = max(map(self.share, again, self.alone))
        return self.finding(
            "repeat", differ, "the same input gives another output: is it random in eval mode?"
        )

    def batch(self) -> Finding:
        def tries() -> Iterator[tuple[float, str]]:
            for graphs, alone in ((self.graphs, self.alone), (self.graphs[::-1], self.alone[::-1])):
                together = self.run(graphs).split([len(out) for out in alone])
                for data, one, other in zip(graphs, together, alone, strict=True):
                    sizes = ", ".join(str(other.num_nodes) for other in graphs)
                    told = f"a graph of {data.num_nodes} nodes in a batch of graphs of {sizes}"
                    yield self.share(one, other), told

        return self.worst("batch", tries(), "")

    def later(self, causal: bool) -> Finding:
        if not causal or not self.of_nodes:
            why = "its outputs are of whole graphs" if causal else "every node may know all others"
            return Finding("later", None, float("nan"), why)

        def tries() -> Iterator[tuple[float, str]]:
            for data, whole in zip(self.graphs, self.alone, strict=True):
                for node in {data.num_nodes // 2, data.num_nodes - 1} - {0}:
                    beginning = data.subgraph(torch.arange(node))
                    told = f"nodes before {node} of {data.num_nodes}, without the later ones"
                    yield self.share(self.run([beginning]), whole[:node]), told
                    for key, other in _with_other_node(data, node):
                        told = f"nodes before {node} of {data.num_nodes}, with another {key} there"
                        yield self.share(self.run([other])[:node], whole[:node]), told

        return self.worst("later", tries(), "the graphs have one node each")

    def order(self, causal: bool) -> Finding:
        if causal or any(data.get("seq_pos") is not None for data in self.graphs):
            return Finding("order", None, float("nan"), "its nodes have an order")

        def tries() -> Iterator[tuple[float, str]]:
            for data, own in zip(self.graphs, self.alone, strict=True):
                order = torch.randperm(data.num_nodes, generator=self.generator)
                found = self.run([self._reordered(data, order)])
                told = f"a graph of {data.num_nodes} nodes"
                yield self.share(found, own[order] if self.of_nodes else own), told

        return self.worst("order", tries(), "")

    def _reordered(self, data: Data, order: Tensor) -> Data:
        """The same graph with node ``order[i]`` as node i, and its edges in another order."""
        other = data.edge_subgraph(torch.randperm(data.num_edges, generator=self.generator))
        for key in _of_nodes(data):
            other[key] = data[key][order]
        if other.edge_index is not None:
            other.edge_index = order.argsort()[other.edge_index]
        return other

    def forms(self) -> Finding:
        graphs = [part for part in self.model.modules() if isinstance(part, AttentionAdjacency)]
        asked = [part.form for part in graphs]

        def tries() -> Iterator[tuple[float, str]]:
            for form in get_args(Form):
                try:
                    for part in graphs:
                        part.form = form
                    each = [self.run([data]) for data in self.graphs]
                except ValueError:  # it cannot be held so
                    continue
                yield max(map(self.share, each, self.alone)), f"form={form}"

        found = self.worst("forms", tries() if graphs else iter(()), "it has no graph of attention")
        for part, form in zip(graphs, asked, strict=True):
            part.form = form
        return found

    def gradient(self) -> Finding:
        parameters = dict(self.model.named_parameters())
        parameters = {name: one for name, one in parameters.items() if one.requires_grad}
        if not parameters:
            return Finding("gradient", None, float("nan"), "it has no parameter to train")
        self.model.zero_grad()
        output = call(self.model, Batch.from_data_list(self.graphs))
        directions = torch.randn(output.shape, generator=self.generator, dtype=output.dtype)
        if output.requires_grad:
            (output * directions).sum().backward()
        idle = [name for name, one in parameters.items() if one.grad is None or not one.grad.any()]
        wrong = [
            name
            for name, one in parameters.items()
            if one.grad is not None and not one.grad.isfinite().all()
        ]
        told = [
            f"{what} {_listed(names)}"
            for what, names in (("no gradient reaches", idle), ("not finite:", wrong))
            if names
        ]
        return Finding("gradient", not told, float("nan"), "; ".join(told))

    def edges(self) -> Finding:
        places = [
            (number, edge)
            for number, data in enumerate(self.graphs)
            for edge in range(data.num_edges)
        ]
        if not places:
            return Finding("edges", None, float("nan"), "the data has no edges")
        chosen = torch.randperm(len(places), generator=self.generator)[:EDGES].tolist()
        idle = []
        for number, edge in (places[place] for place in chosen):
            data = self.graphs[number]
            other = data.edge_subgraph(torch.arange(data.num_edges) != edge)
            if self.share(self.run([other]), self.alone[number]) <= TINY:
                source, target = data.edge_index[:, edge].tolist()
                idle.append(f"{source} -> {target} of {data.num_nodes} nodes")
        if len(idle) == len(chosen):
            return Finding("edges", None, float("nan"), "it reads none of the data's edges")
        told = f"{len(idle)} of {len(chosen)} edges change nothing: {_listed(idle)}"
        return Finding("edges", not idle, float("nan"), told if idle else "")


def _of_nodes(data: Data) -> list[str]:
    """The attributes with a row for each node."""
    return [
        key
        for key, value in data.to_dict().items()
        if isinstance(value, Tensor)
        and key not in ("edge_index", *OF_EDGES)
        and (key in OF_NODES or (value.dim() > 0 and len(value) == data.num_nodes))
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _with_other_node(data: Data, node: int) -> Iterator[tuple[str, Data]]:
    """The same graph with something else at a node, for each attribute of nodes that can differ."""
    for key in _of_nodes(data):
        if key in ORDER or key == "y":
            continue
        rows = data[key].reshape(data.num_nodes, -1)
        others = (rows != rows[node]).any(1)
        if others.any():
            changed = copy.copy(data)
            changed[key] = data[key].clone()
            changed[key][node] = data[key][int(others.nonzero()[0])]
            yield key, changed


def _as_double(data: Data) -> Data:
    return copy.copy(data).apply(lambda x: x.double() if x.is_floating_point() else x)


@contextmanager
def _double(model: nn.Module) -> Iterator[nn.Module]:
    """A copy of a model in eval mode and double precision, which all new tensors have then."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield copy.deepcopy(model).cpu().double().eval()
    finally:
        torch.set_default_dtype(before)
