"""Molecules on paper: each node of a graph is the atom that is drawn there."""

import math
import re

import pytest
import torch
from torch_geometric.utils import from_smiles

from gia.data import join_components
from gia.data.datasets.molecules import to_graph
from gia.data.depict import depict
from gia.data.node_labels import node_labels

# As written, in another order than the canonical SMILES; salts, charges, rings, stereocentres.
SMILES = [
    "OC(=O)C[NH3+]",
    "[O-]C(=O)c1ccccc1.[Na+]",
    "Brc1cc(Cl)ccc1O",
    "O[C@@H](C)[C@H](N)C(O)=O",
    "F/C=C/Cl",
    "C1CC2CC1C=C2",
    "O",
]


def letters_of(depiction):
    """The middle of the letters of each atom of the drawing that has some."""
    glyphs = {}
    for atom, path in re.findall(r"<path class='atom-(\d+)' d='([^']*)'", depiction.svg):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", path)]
        glyphs.setdefault(int(atom), []).append((numbers[::2], numbers[1::2]))
    return glyphs


@pytest.mark.parametrize("smiles", SMILES)
def test_bonds_of_the_graph_are_bonds_of_the_drawing(smiles):
    graph = to_graph(smiles)
    drawn = depict(graph)
    assert len(drawn.positions) == graph.num_nodes
    for i, j in graph.edge_index.T.tolist():
        length = math.dist(drawn.positions[i], drawn.positions[j])
        assert length == pytest.approx(drawn.bond, rel=0.4)
    for x, y in drawn.positions:
        assert -1 <= x <= drawn.size[0] + 1
        assert -1 <= y <= drawn.size[1] + 1


@pytest.mark.parametrize("smiles", SMILES)
def test_letters_stand_at_nodes_that_are_no_carbon(smiles):
    graph = to_graph(smiles)
    drawn = depict(graph)
    # Of a charge or a hydrogen beside it the middle is a letter's width away.
    boxes = [
        (min(x) - 3, max(x) + 3, min(y) - 3, max(y) + 3)
        for glyphs in letters_of(drawn).values()
        for x, y in glyphs
    ]
    for (x, y), number in zip(drawn.positions, graph.x[:, 0].tolist(), strict=True):
        lettered = any(left <= x <= right and low <= y <= high for left, right, low, high in boxes)
        assert lettered == (number != 6), (smiles, number)


def test_stereocentres_are_drawn():
    def lines(smiles):
        return len(re.findall("<path class='bond", depict(to_graph(smiles)).svg))

    assert lines("C[C@H](N)C(O)=O") > lines("CC(N)C(O)=O")  # a hashed bond is many


def test_a_graph_that_is_another_molecule_is_not_drawn():
    graph = to_graph("CCO")
    other = graph.clone()
    other.text = "CCN"
    assert depict(other) is None
    scaled = graph.clone()
    scaled.x = torch.randn(3, 4)
    assert depict(scaled) is None
    assert depict(graph) is not None


def test_a_molecule_of_pyg_is_drawn():
    graph = from_smiles("OCC")
    graph.text = "CCO"
    first, _, last = depict(graph).positions
    flipped = from_smiles("CCO")
    flipped.text = "CCO"
    assert depict(flipped).positions[2] == first
    assert depict(flipped).positions[0] == last


def test_molecules_of_a_real_table_are_drawn(esol):
    drawn = [depict(graph) for graph in esol[::12]]
    assert len(drawn) > 90
    assert None not in drawn


def test_labels_of_what_the_alphabet_lacks_and_of_other_columns():
    sequence = to_graph("CC")
    sequence.text = "A<unk>"
    assert node_labels(sequence, "sequence") == ["A", "<unk>"]
    sequence.text = "ABC"
    assert node_labels(sequence, "sequence") == ["0", "1"]
    sequence.x = sequence.x.float()
    assert node_labels(sequence, "smiles") == ["0", "1"]
    assert node_labels(to_graph("OC"), "smiles") == ["O", "C"]


@pytest.mark.parametrize(
    "pair", [("O", "CCO"), ("c1ccccc1C(=O)O", "ClC(Cl)Cl"), ("C[C@H](N)O", "C[C@@H](N)O")]
)
def test_molecules_of_a_row_stand_side_by_side_in_their_order(pair):
    graph = join_components(list(map(to_graph, pair)))
    drawn = depict(graph)
    first, second = (
        [
            x
            for (x, _), own in zip(drawn.positions, graph.component.tolist(), strict=True)
            if own == n
        ]
        for n in (0, 1)
    )
    assert max(first) + drawn.bond < min(second)
    for i, j in graph.edge_index.T.tolist():
        length = math.dist(drawn.positions[i], drawn.positions[j])
        assert length == pytest.approx(drawn.bond, rel=0.4)
    order = torch.randperm(graph.num_nodes)  # nodes may stand in any order
    moved = graph.clone()
    moved.x, moved.component = graph.x[order], graph.component[order]
    moved.edge_index = order.argsort()[graph.edge_index]
    xs = [x for x, _ in depict(moved).positions]
    for node, own in zip(order.tolist(), xs, strict=True):
        assert (own < min(second)) == (graph.component[node] == 0)
    other = graph.clone()
    other.text = f"{to_graph(pair[0]).text} CCCC"
    assert depict(other) is None
