from itertools import pairwise

import pytest
import torch
from laws import make_model, sequences
from matplotlib.text import Text
from torch_geometric.data import Data

from gia.analysis import (
    attention_graph,
    attention_heat_map,
    graph_matrices,
    learning_curves,
    parity_plot,
    save,
)
from gia.analysis.figures import safe

LABELS = list("<ACDEFG")


@pytest.fixture
def graph():
    (data,) = sequences([7])
    return make_model("gin").eval().graphs(data)[-1]


def test_heat_map_shows_each_head_as_a_matrix(graph):
    figure = attention_heat_map(graph, LABELS, "title")
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(images) == 2
    for head, image in enumerate(images):
        assert image.shape == (7, 7)
        for (source, target), weight in zip(
            graph.edge_index.T.tolist(), graph.edge_weight[:, head].tolist(), strict=True
        ):
            assert image[target, source] == pytest.approx(weight)  # a row is a target
        assert torch.as_tensor(image.mask).triu(1).sum() == 21  # no edge, no colour
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == LABELS


def test_graph_draws_the_strongest_edges_with_labels(graph):
    figure = attention_graph(graph, LABELS, "title", strongest=2)
    assert len(figure.axes) == 2
    for axes in figure.axes:
        # Node 0 sees itself alone, node 1 one other, the rest at least two others.
        assert len(axes.patches) == 1 + 2 * 5
        texts = {text.get_text() for text in axes.texts}
        assert {"A", "C", "D", "E", "F", "G"} <= texts


def test_arcs_to_earlier_nodes_are_seen_too():
    edge_index = torch.tensor([[0, 6, 5], [2, 0, 1]])
    graph = Data(edge_index=edge_index, edge_weight=torch.ones(3, 1), num_nodes=7)
    (axes,) = attention_graph(graph, LABELS).axes
    low, high = axes.get_ylim()
    assert low < -0.25 * 6  # the longest arc, 6 -> 0, lies below
    assert 0.25 * 2 < high < 0.25 * 6
    later = Data(edge_index=edge_index.flip(0), edge_weight=graph.edge_weight, num_nodes=7)
    above, below = attention_graph(later, LABELS).axes[0].get_ylim(), (low, high)
    assert above[1] - above[0] == pytest.approx(below[1] - below[0], rel=0.15)


def test_arcs_of_all_heads_have_one_scale_and_line_up():
    edge_index = torch.tensor([[0, 0, 3], [6, 1, 4]])
    weight = torch.tensor([[1.0, 0.0], [0.0, 0.5], [0.0, 0.25]])
    graph = Data(edge_index=edge_index, edge_weight=weight, num_nodes=7)
    first, second = attention_graph(graph, LABELS).axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()
    (strong,), weak = first.patches, second.patches
    assert strong.get_linewidth() > max(arc.get_linewidth() for arc in weak)


def test_labels_of_a_heat_map_do_not_overlap():
    length = 64
    source, target = torch.tril_indices(length, length).flip(0)
    weight = torch.rand(len(source), 3)
    graph = Data(edge_index=torch.stack([source, target]), edge_weight=weight, num_nodes=length)
    figure = attention_heat_map(graph, ["W"] * length)
    figure.draw_without_rendering()
    named = 0
    for axes in figure.axes[:3]:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            boxes = [label.get_window_extent() for label in labels if label.get_visible()]
            assert len(boxes) in (0, length)  # heads within are not named again
            assert not any(one.overlaps(other) for one, other in pairwise(boxes))
            named += len(boxes)
    assert named == 4 * length
    many = attention_heat_map(
        Data(edge_index=graph.edge_index, edge_weight=weight, num_nodes=200), ["W"] * 200
    )
    assert 20 < len(many.axes[0].get_xticks()) < 60


def test_curves_have_the_names_of_the_task():
    epochs = [
        {"epoch": 0, "train_eval/loss": 1.0, "val/loss": float("nan"), "generalisation_gap": 0.0}
    ]
    figure = learning_curves(epochs, baseline=1.0, loss_name="loss (MSE)", baseline_name="mean")
    loss, _ = figure.axes
    assert loss.get_ylabel() == "loss (MSE)"
    labels = [line.get_label() for line in loss.lines]
    assert labels == ["training", "validation", "mean"]  # nothing was best


def test_curves_show_losses_and_gap():
    epochs = [
        {"epoch": e, "train_eval/loss": 3.0 - e, "val/loss": v, "generalisation_gap": v - 3 + e}
        for e, v in enumerate([3.0, 2.2, 2.5])
    ]
    figure = learning_curves(epochs, baseline=2.9)
    loss, gap = figure.axes
    lines = {line.get_label(): line for line in loss.lines}
    assert list(lines["training"].get_ydata()) == [3.0, 2.0, 1.0]
    assert list(lines["validation"].get_ydata()) == [3.0, 2.2, 2.5]
    assert list(lines["kept, epoch 2"].get_xdata()) == [2]
    assert set(lines["best n-gram"].get_ydata()) == {2.9}
    chosen = learning_curves(epochs, kept=2.0).axes[0]  # by something else than this loss
    assert [line.get_label() for line in chosen.lines][-1] == "kept, epoch 3"
    assert list(gap.lines[0].get_ydata()) == pytest.approx([0.0, 0.2, 1.5])


def test_figures_are_saved_as_png_and_svg(graph, tmp_path):
    written = save(attention_graph(graph, LABELS), tmp_path / "picture")
    assert [path.name for path in written] == ["picture.png", "picture.svg"]
    assert written[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in written[1].read_bytes()
    before = [path.read_bytes() for path in written]
    save(attention_graph(graph, LABELS), tmp_path / "picture")
    assert [path.read_bytes() for path in written] == before


def test_signed_weights_have_colours_on_both_sides_of_zero():
    (data,) = sequences([7])
    graph = make_model("gin_differential").eval().graphs(data)[-1]
    graph.edge_weight[0] = -0.5
    image = attention_heat_map(graph, LABELS).axes[0].images[0]
    low, high = image.get_clim()
    assert low == -high
    assert high == pytest.approx(float(graph.edge_weight.abs().max()))
    attention_graph(graph, LABELS)


def test_pairs_that_a_head_does_not_join_are_not_drawn():
    (data,) = sequences([7])
    graph = make_model("gin_top_k").eval().graphs(data)[-1]
    assert (graph.edge_weight == 0).any()  # another head's edges
    heat_map = attention_heat_map(graph, LABELS)
    for head in range(2):
        drawn = ~torch.as_tensor(heat_map.axes[head].images[0].get_array().mask)
        assert int(drawn.sum()) == int((graph.edge_weight[:, head] != 0).sum())


def test_graph_matrices_show_edges_of_any_weight_and_count_them():
    edge_index = torch.tensor([[0, 1, 2, 0], [1, 1, 0, 1]])  # 0 -> 1 twice: one entry
    graphs = {
        name: Data(edge_index=edge_index[:, :edges], edge_weight=weight[:edges], num_nodes=3)
        for name, edges, weight in (
            ("signed", 3, torch.tensor([0.5, -2.0, 0.0])),
            ("parallel", 4, torch.tensor([0.5, 0.25, 1.0, 0.25])),
            ("none", 0, torch.empty(0)),
        )
    }
    figure = graph_matrices(graphs, ["A", "C", "D"], "title", columns=2)
    signed, parallel, none = [axes.images[0] for axes in figure.axes if axes.images]
    expected = [[True, True, False], [False, False, True], [True, True, True]]
    assert signed.get_array().mask.tolist() == expected  # an edge of weight 0 is an edge
    assert signed.get_array()[1].tolist() == [0.5, -2.0, None]  # a row is a target
    assert parallel.get_array()[1, 0] == 0.75
    assert none.get_array().mask.all()
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles == ["signed\n3 edges", "parallel\n3 edges", "none\n0 edges"]
    assert {image.norm.vmin for image in (signed, parallel, none)} == {-1}
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["A", "C", "D"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("a/../b", "a_.._b"), ("ä ö", "unnamed"), ("x" * 99, "x" * 40), ("logP (25 °C)", "logP_25_C")],
)
def test_names_of_files_are_safe(name, said):
    assert safe(name) == said


@pytest.mark.parametrize("unit", ["$", r"$\foo$", "eV/Å$^3$", r"${$"])
def test_what_is_no_formula_is_drawn_as_it_is(unit, tmp_path):
    figure = parity_plot(torch.rand(5, 1), torch.rand(5, 1), [unit], [unit])
    (svg,) = save(figure, tmp_path / "parity", ["svg"])
    assert svg.stat().st_size > 0
    drawn = {text.get_text(): text.get_parse_math() for text in figure.findobj(Text)}
    # A formula is kept, whatever else stands in the figure.
    assert drawn[f"target ({unit})"] == (unit == "eV/Å$^3$")
