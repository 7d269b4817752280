"""What the nodes of a graph are called in pictures."""

from torch_geometric.data import Data


def node_labels(graph: Data, kind: str) -> list[str]:
    """Elements of a molecule, residues of a sequence, otherwise numbers.

    Args:
        graph: the graph.
        kind: what its ``text`` is: ``"smiles"``, ``"sequence"`` or anything else.
    """
    if kind == "sequence" and len(graph.text) == graph.num_nodes:
        return list(graph.text)
    if kind == "smiles":
        from rdkit.Chem import GetPeriodicTable

        elements = GetPeriodicTable()
        # The first column of PyG's from_smiles; 0 stands for any atom.
        return [elements.GetElementSymbol(number) for number in graph.x[:, 0].tolist()]
    return [str(node) for node in range(graph.num_nodes)]
