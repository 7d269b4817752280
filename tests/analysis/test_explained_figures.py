"""Pictures of explained predictions: one scale, the right rows, the right nodes."""

import matplotlib
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.patches import Circle, FancyArrowPatch, PathPatch
from torch_geometric.data import Data

from gia.analysis import (
    Explained,
    common_scale,
    draw_molecule,
    explained_page,
    explained_row,
    molecule_attention,
)
from gia.analysis.explained_figures import SHARES, most_telling
from gia.data.datasets.molecules import to_graph
from gia.data.depict import depict


def molecule(row, values, output=0.0, smiles="CCO"):
    return Explained(
        row=row,
        name=f"m{row}",
        kind="smiles",
        labels=list("CCO"),
        output=torch.tensor([output]),
        said=[f"{output}"],
        values=torch.tensor(values).view(-1, 1),
        depiction=depict(to_graph(smiles)),
    )


def chain(row, sequence, values, output=0.0):
    values = torch.as_tensor(values, dtype=torch.float32).view(len(sequence), -1)
    return Explained(
        row=row,
        name=f"s{row}",
        kind="sequence",
        labels=list(sequence),
        output=torch.full((values.size(1),), output),
        said=[f"{output}"] * values.size(1),
        values=values,
    )


def discs(axes):
    return [patch for patch in axes.patches if isinstance(patch, Circle)]


def drawn(figure):
    return [axes for axes in figure.axes if axes.get_title(loc="left")]


def test_discs_have_the_colours_of_their_atoms():
    graph = to_graph("OCC")
    depiction = depict(graph)
    axes = matplotlib.figure.Figure().subplots()
    draw_molecule(axes, depiction, ["red", "green", "blue"])
    assert [disc.get_facecolor() for disc in discs(axes)] == [
        to_rgba(name) for name in ("red", "green", "blue")
    ]
    for disc, (x, y) in zip(discs(axes), depiction.positions, strict=True):
        assert disc.center == pytest.approx((x / depiction.bond, y / depiction.bond))
    paths = [patch for patch in axes.patches if isinstance(patch, PathPatch)]
    assert len(paths) == depiction.svg.count("<path")
    # A bond begins at a carbon, and no line leaves the picture.
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    assert low > high  # down, as rdkit draws
    for path in paths:
        x, y = path.get_path().vertices.T
        assert left < x.min() < x.max() < right
        assert high < y.min() < y.max() < low
    carbon = discs(axes)[2].center
    ends = [tuple(point) for path in paths for point in path.get_path().vertices]
    assert min(abs(x - carbon[0]) + abs(y - carbon[1]) for x, y in ends) < 0.05


def test_all_rows_have_one_scale():
    rows = [molecule(0, [0.1, 0.2, -2.0]), molecule(1, [0.0, 0.5, 1.0])]
    (end,) = common_scale(rows)
    assert 1.0 < end <= 2.0
    for one in rows:
        (axes,) = drawn(explained_row(one, ["what an atom adds to logS"], [end]))
        colours = [SHARES((value / end).clamp(-1, 1).item() / 2 + 0.5) for value in one.values]
        for disc, colour in zip(discs(axes), colours, strict=True):
            assert disc.get_facecolor() == pytest.approx(colour, abs=0.02)


def test_no_share_at_all_is_drawn():
    one = molecule(0, [0.0, 0.0, 0.0])
    figure = explained_row(one, ["y"], common_scale([one]))
    assert len(drawn(figure)) == 1


def test_the_most_telling_are_the_extremes_and_those_that_few_nodes_decide():
    even, peaked = [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]
    rows = [molecule(n, peaked if n in (5, 7) else even, output=float(n)) for n in range(12)]
    groups = most_telling(rows, each=2)
    assert [[one.row for one in group] for group in groups] == [[11, 10], [0, 1], [5, 7]] or [
        [one.row for one in group] for group in groups
    ] == [[11, 10], [0, 1], [7, 5]]
    assert [one.row for one in most_telling(rows[:4], each=2)[0]] == [3, 2, 1, 0]
    page = explained_page(rows, "y", 1.0, each=2)
    titles = [axes.get_title(loc="left") for axes in drawn(page)]
    assert len(titles) == 6
    assert titles[0] == "HIGHEST\nm11: 11.0"
    assert titles[2] == "LOWEST\nm0: 0.0"
    assert titles[4].startswith("ON THE FEWEST ATOMS\nm")


def test_a_chain_wraps_and_its_bars_are_the_shares():
    values = torch.linspace(-1, 1, 61)
    one = chain(0, "A" * 60 + "K", values)
    (axes,) = drawn(explained_row(one, ["y"], [1.0]))
    assert [bar.get_height() for bar in axes.patches] == pytest.approx(values.tolist())
    letters = {text.get_text(): text.get_position() for text in axes.texts}
    assert letters["K"][0] == 0  # at the beginning of the second line
    assert letters["K"][1] < letters["A"][1]
    assert letters["60"][0] == 59
    assert sum(text.get_text() == "A" for text in axes.texts) == 60


def test_a_bar_beyond_the_scale_is_cut_and_an_unknown_residue_has_a_mark():
    one = chain(0, "AK", [5.0, -5.0])
    one.labels = ["A", "<unk>"]
    assert one.drawable
    (axes,) = drawn(explained_row(one, ["y"], [1.0]))
    assert [bar.get_height() for bar in axes.patches] == [1.0, -1.0]
    assert [text.get_text() for text in axes.texts] == ["A", "?"]


def test_targets_have_a_panel_each():
    one = chain(0, "AKR", torch.randn(3, 8))
    figure = explained_row(one, [f"t{number}" for number in range(8)], [1.0] * 8)
    assert len(drawn(figure)) == 6  # the first six
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert [label for label in labels if label] == [f"t{number}" for number in range(6)]


def test_a_page_of_long_chains_has_fewer():
    rows = [chain(n, "A" * 600, torch.randn(600), output=float(n)) for n in range(20)]
    assert len(drawn(explained_page(rows, "y", 1.0))) == 3
    rows = [chain(n, "A" * 30, torch.randn(30), output=float(n)) for n in range(20)]
    assert len(drawn(explained_page(rows, "y", 1.0))) == 12


@pytest.mark.parametrize("kind", ["name", "sequence"])
def test_what_is_neither_is_not_drawable(kind):
    one = Explained(0, "g", kind, ["0", "10"], torch.zeros(1), ["0"], torch.zeros(2, 1))
    assert not one.drawable


def attention(edges, weights, nodes=4):
    edge_index = torch.tensor(edges).T
    return Data(edge_index=edge_index, edge_weight=torch.tensor(weights), num_nodes=nodes)


def test_attention_on_a_molecule():
    graph = to_graph("CCCO")
    depiction = depict(graph)
    # A bond, a self loop, and two edges between atoms without a bond, of two heads.
    layer = attention(
        [(0, 1), (2, 2), (3, 0), (0, 2)], [[9.0, 9.0], [9.0, 9.0], [0.2, 0.6], [0.1, 0.1]]
    )
    figure = molecule_attention(graph, [None, layer], depiction, "m", strongest=1)
    (axes,) = [axes for axes in figure.axes if axes.get_title()]
    assert axes.get_title() == "layer 2"
    (arrow,) = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    start, end = ([side / depiction.bond for side in depiction.positions[node]] for node in (3, 0))
    assert list(arrow._posA_posB[0]) == pytest.approx(start)
    assert list(arrow._posA_posB[1]) == pytest.approx(end)
    strength = [sum(disc.get_facecolor()[:3]) for disc in discs(axes)]
    assert strength[3] < strength[0] < strength[1] == strength[2]  # darker is read more


def test_attention_along_bonds_alone_is_drawn_too():
    graph = to_graph("CCCO")
    layer = attention(graph.edge_index.T.tolist(), [[1.0]] * graph.num_edges)
    figure = molecule_attention(graph, [layer, layer, layer], depict(graph), strongest=12)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert len(panels) == 3
    for axes in panels:
        arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
        assert len(arrows) == graph.num_edges


def test_attention_of_one_atom_has_no_edges():
    graph = to_graph("O")
    layer = attention([(0, 0)], [[1.0]], nodes=1)
    figure = molecule_attention(graph, [layer], depict(graph))
    (axes,) = [axes for axes in figure.axes if axes.get_title()]
    assert not [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]


def test_few_molecules_stand_in_rows():
    page = explained_page(
        [molecule(row, [0.1, 0.0, 0.2], float(row)) for row in range(6)], "y", 1.0
    )
    titles = [axes.get_title("left") for axes in drawn(page)]
    assert titles == [f"m{row}: {float(row)}" for row in (5, 4, 3, 2, 1, 0)]
    assert {axes.get_subplotspec().rowspan.start for axes in drawn(page)} == {0, 1}
