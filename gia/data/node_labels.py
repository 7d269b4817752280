"""What the nodes of a graph are called in pictures."""

import re

from torch_geometric.data import Data


def node_labels(graph: Data, kind: str) -> list[str]:
    """Elements of a molecule, residues of a sequence, otherwise numbers.

    Args:
        graph: the graph.
        kind: what its ``text`` is: ``"smiles"``, ``"sequence"`` or anything else.
    """
    if kind == "sequence":
        letters = re.findall("<unk>|.", graph.text, re.DOTALL)
        if len(letters) == graph.num_nodes:
            return letters
    x = graph.get("x")
    # The columns of PyG's from_smiles are integers; other datasets of molecules have others.
    if kind == "smiles" and x is not None and not x.is_floating_point():
        from rdkit.Chem import GetPeriodicTable

        elements = GetPeriodicTable()
        # The first column of PyG's from_smiles; 0 stands for any atom.
        return [elements.GetElementSymbol(number) for number in x[:, 0].tolist()]
    return [str(node) for node in range(graph.num_nodes)]
