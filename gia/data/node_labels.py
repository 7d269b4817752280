"""What the nodes of a graph are called in pictures."""

import re

from torch_geometric.data import Data

from gia.data.components import components
from gia.data.elements import element_numbers


def node_labels(graph: Data, kind: str) -> list[str]:
    """Elements of molecules, compositions and crystals, residues of sequences, otherwise numbers.

    Args:
        graph: the graph.
        kind: what its ``text`` is, see :class:`gia.data.Items`.
    """
    if kind in ("formula", "crystal"):
        symbols = list(element_numbers())
        return [symbols[number] for number in graph.x[:, -len(symbols) :].argmax(1).tolist()]
    if kind == "sequence":
        letters = _letters(graph.text)
        if len(letters) == graph.num_nodes:
            return letters
    x = graph.get("x")
    # The columns of PyG's from_smiles are integers; other datasets of molecules have others.
    if kind == "smiles" and x is not None and not x.is_floating_point():
        from rdkit.Chem import GetPeriodicTable

        elements = GetPeriodicTable()
        # The first column of PyG's from_smiles; 0 stands for any atom.
        symbols = [elements.GetElementSymbol(number) for number in x[:, 0].tolist()]
        if "token" in graph and "component" in graph:  # the last part is a sequence
            own = (graph.component == graph.component.max()).nonzero().flatten().tolist()
            for node, letter in zip(own, _letters(components(graph.text)[-1]), strict=False):
                symbols[node] = letter
        return symbols
    return [str(node) for node in range(graph.num_nodes)]


def _letters(sequence: str) -> list[str]:
    return re.findall("<unk>|.", sequence, re.DOTALL)
