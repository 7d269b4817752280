"""Pictures of crystals: the right atoms at the right places, the right arrows."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from torch_geometric.data import Data

from gia.analysis import Explained, explained_row, save
from gia.analysis.crystal_figures import crystal_attention, draw_crystal
from gia.data.depict_crystal import CellDepiction

SIDES = np.array([[[0, 0, 0], [4, 0, 1]], [[0, 0, 0], [1, 1, -4]], [[0, 0, 0], [0, 4, 1]]] * 4)


@pytest.fixture
def cell():
    return CellDepiction(
        positions=np.array([[0.0, 0, 0], [2, 2, 1], [2, 0, 0.5]]),
        copies=np.array([[4.0, 0, 1]]),
        copied=np.array([0]),
        corners=SIDES.astype(float),
        symbols=["Cs", "Pb", "I"],
        radii=np.array([2.0, 1.0, 1.5]),
        colours=np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]),
    )


def discs(axes):
    return [patch for patch in axes.patches if isinstance(patch, Circle)]


def test_atoms_stand_in_the_order_of_their_depth(cell):
    axes = Figure().subplots()
    own = draw_crystal(axes, cell)
    assert [disc.get_center() for disc in own] == [(0, 0), (2, 2), (2, 0)]
    order = sorted(discs(axes), key=lambda disc: disc.get_zorder())
    assert order[0] is own[0]  # the farthest
    assert order[1] is own[2]
    colours = [to_hex(disc.get_facecolor()) for disc in own]
    assert colours == ["#ff0000", "#00ff00", "#0000ff"]
    (copy,) = (disc for disc in discs(axes) if disc not in own)
    assert copy.get_center() == (4, 0)
    assert copy.get_facecolor()[1] > 0.5  # a pale red
    assert [text.get_text() for text in axes.texts][-3:] == ["Cs", "I", "Pb"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_aspect()) == ("Å", "Å", 1)


def test_arrows_are_the_strongest_pairs(cell, tmp_path):
    # Two parallel edges 1 -> 0 make up more together than 2 -> 1 alone; 0 -> 0 is no arrow.
    graph = Data(
        edge_index=torch.tensor([[1, 1, 2, 0, 0], [0, 0, 1, 0, 2]]),
        edge_weight=torch.tensor([[0.3, 0.5], [0.3, 0.5], [0.5, 0.5], [9.0, 9.0], [0.0, 0.1]]),
        num_nodes=3,
    )
    figure = crystal_attention([None, graph], cell, "CsPbI", strongest=2)
    (axes,) = (axes for axes in figure.axes if axes.get_title())
    assert axes.get_title() == "layer 2"
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    ends = [[tuple(end) for end in arrow._posA_posB] for arrow in arrows]
    assert ends == [[(2, 0), (2, 2)], [(2, 2), (0, 0)]]  # the strongest on top
    assert arrows[0].get_linewidth() < arrows[1].get_linewidth()
    bar = figure.axes[-1]
    assert bar.get_ylim() == pytest.approx((0, 0.8))
    assert len(save(figure, tmp_path / "picture")) == 2


def test_shares_colour_the_atoms(cell):
    one = Explained(
        row=0, name="CsPbI", kind="crystal", labels=cell.symbols, output=torch.zeros(1),
        said=["0"], values=torch.tensor([[1.0], [-1.0], [0.0]]), depiction=cell,
    )  # fmt: skip
    assert one.drawable
    axes = explained_row(one, ["what an atom adds to energy (eV)"], [1.0]).axes[0]
    by_place = {disc.get_center(): disc.get_facecolor() for disc in discs(axes)}
    red, blue, middle = by_place[0, 0], by_place[2, 2], by_place[2, 0]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert min(middle[:3]) > 0.9
