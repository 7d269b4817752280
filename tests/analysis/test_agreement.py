"""Measures of scores of pairs: by hand, against scikit-learn, and with planted attention."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from torch_geometric.data import Data
from torch_geometric.utils import erdos_renyi_graph

from gia.analysis import agreement, agreement_heat_maps, agreement_map, measure_agreement
from gia.analysis.agreement_measures import MEASURES, chance, precision_at


def random_items(number=9, nodes=14, *, ordered=False):
    items = []
    for row in range(number):
        edges = erdos_renyi_graph(nodes, 0.3)
        data = Data(edge_index=torch.cat([edges, edges.flip(0)], 1), num_nodes=nodes)
        data.name, data.row = f"item_{row}", 100 + row
        if ordered:
            data.seq_pos = torch.arange(nodes)
        items.append(data)
    return items


def planted(data):
    """Two layers of two heads, one of which reads along the item's edges, causally."""
    target, source = torch.tril_indices(data.num_nodes, data.num_nodes)
    joined = torch.zeros(data.num_nodes, data.num_nodes)
    joined[data.edge_index[0], data.edge_index[1]] = 1
    generator = torch.Generator().manual_seed(int(data.row))
    weight = torch.rand(target.numel(), 2, generator=generator)
    first = Data(
        edge_index=torch.stack([source, target]), edge_weight=weight, num_nodes=data.num_nodes
    )
    second = first.clone()
    second.edge_weight = torch.stack([weight[:, 0], joined[target, source] + 0.01], 1)
    return [first, None, second]


def test_measures_by_hand():
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    joined = np.array([True, False, True, False, False, False])
    found = agreement(score, joined, 4)
    assert found["auroc"] == pytest.approx(7 / 8)  # of 2 x 4 pairs of pairs one is wrong
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["precision_L"] == 0.5
    assert found["precision_L2"] == 0.5
    assert found["precision_L5"] == 1  # at least the first
    assert tuple(found) == MEASURES


def test_ties_are_shared_and_the_list_may_be_short():
    score, joined = np.array([1.0, 0, 0, 0]), np.array([True, True, False, False])
    assert precision_at(score, joined, 1) == 1
    assert precision_at(score, joined, 2) == pytest.approx((1 + 1 / 3) / 2)
    assert precision_at(score, joined, 9) == 0.5
    assert precision_at(-score, joined, 1) == pytest.approx(1 / 3)
    constant = agreement(np.zeros(4), joined, 4)
    assert constant == pytest.approx(chance(joined))


def test_measures_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    score, joined = generator.normal(size=300).round(1), generator.random(300) < 0.2
    found = agreement(score, joined, 60)
    assert found["auroc"] == roc_auc_score(joined, score)
    assert found["average_precision"] == average_precision_score(joined, score)
    by_hand = [joined[np.lexsort((generator.random(300), -score))[:30]].mean() for _ in range(4000)]
    assert found["precision_L2"] == pytest.approx(np.mean(by_hand), abs=2e-3)


@pytest.mark.parametrize("joined", [np.zeros(5, bool), np.ones(5, bool), np.zeros(0, bool)])
def test_nothing_to_tell_apart_is_no_number(joined):
    assert all(map(math.isnan, agreement(np.arange(len(joined)), joined, 3).values()))
    assert all(map(math.isnan, chance(joined).values()))


def test_a_planted_head_is_found_and_others_are_at_chance():
    items = random_items(30)
    found = measure_agreement(items, planted, fit_items=5)
    assert (found.rule, found.separations) == ("degree", [0])
    assert found.best == {0: (3, 2)}
    value = found.find("head", 0, "auroc", (3, 2))
    assert value.mean == pytest.approx(1)
    assert value.items == 25
    assert found.find("regression", 0, "auroc").mean > 0.999
    other = found.find("head", 0, "auroc", (1, 2))
    assert abs(other.mean - 0.5) < 4 * other.standard_error
    assert found.find("random", 0, "auroc").mean == 0.5
    share = found.find("random", 0, "precision_L")
    assert 0.3 < share.mean < 0.6
    # The mean and its error over the items that were measured, once more.
    rows = [item for item in items if item.row in found.measured]
    own = []
    for item in rows:
        first, second = np.triu_indices(item.num_nodes, 1)
        joined = torch.zeros(item.num_nodes, item.num_nodes)
        joined[item.edge_index[0], item.edge_index[1]] = 1
        own.append(joined.numpy()[first, second].mean())
    assert share.mean == pytest.approx(np.mean(own))
    assert share.standard_error == pytest.approx(np.std(own, ddof=1) / 5)


def test_the_regression_sees_no_item_that_is_measured(monkeypatch):
    items = random_items(12)
    drawn, fitted_on = [], []
    fit = LogisticRegression.fit

    def spy(self, x, y, *args, **kwargs):
        fitted_on.append((set(drawn), len(y)))
        return fit(self, x, y, *args, **kwargs)

    def draw(data):
        drawn.append(data.row)
        return planted(data)

    monkeypatch.setattr(LogisticRegression, "fit", spy)
    found = measure_agreement(items, draw, fit_items=4, seed=1)
    ((before, pairs),) = fitted_on
    assert before == set(found.fitted)
    assert pairs == 4 * 14 * 13 // 2
    assert len(found.fitted) == 4
    assert len(found.measured) == 8
    assert not set(found.fitted) & set(found.measured)
    # Half of the items at most, the same ones for the same seed, others for another.
    assert len(measure_agreement(items, planted, fit_items=20).fitted) == 6
    again = measure_agreement(items, planted, fit_items=4, seed=1)
    assert (again.fitted, again.values) == (found.fitted, found.values)
    assert measure_agreement(items, planted, fit_items=4, seed=2).fitted != found.fitted


def test_only_pairs_that_are_far_apart_count():
    items = random_items(16, nodes=20, ordered=True)
    found = measure_agreement(items, planted, separations=[12, 3])
    assert found.separations == [3, 12]
    assert found.rule == "distance"
    for separation in (3, 12):
        of_items = []
        for item in items:
            if item.row in found.measured:
                first, second = np.triu_indices(20, separation)
                joined = torch.zeros(20, 20)
                joined[item.edge_index[0], item.edge_index[1]] = 1
                of_items.append(joined.numpy()[first, second].mean())
        share = found.find("random", separation, "precision_L")
        assert share.mean == pytest.approx(np.mean(of_items))
    assert measure_agreement(random_items(4, 60, ordered=True), planted).separations == [6, 24]


def test_items_without_anything_to_tell_are_counted():
    items = random_items(4)
    lone = Data(edge_index=torch.empty(2, 0).long(), num_nodes=1, row=7)
    empty = Data(edge_index=torch.empty(2, 0).long(), num_nodes=5, row=8)
    full = Data(edge_index=torch.combinations(torch.arange(4)).T, num_nodes=4, row=9)
    found = measure_agreement([lone, *items, empty, full], planted)
    assert found.left_out == {
        "of one node": 1,
        "with no pair that is joined": 1,
        "with no pair that is not joined": 1,
    }
    assert len(found.fitted) + len(found.measured) == 4
    with pytest.raises(ValueError, match=r"of 3 there are 0 \(1 of one node; 1 with no pair"):
        measure_agreement([lone, empty, full], planted)


@pytest.mark.parametrize(
    ("ordered", "settings", "reason"),
    [
        (False, {"separations": [6]}, "the items have no seq_pos: leave it out"),
        (True, {"separations": [0]}, "whole numbers from 1"),
        (True, {"separations": [2.5]}, "whole numbers from 1"),
        (True, {"separations": []}, "whole numbers from 1"),
        (False, {"fit_items": 0}, "fit_items must be at least 1, got 0"),
        (True, {"separations": [99]}, "with no pair at least 99 apart that is joined"),
    ],
)
def test_what_does_not_fit_is_told(ordered, settings, reason):
    with pytest.raises(ValueError, match=reason):
        measure_agreement(random_items(4, ordered=ordered), planted, **settings)


def test_pictures_say_what_was_found():
    found = measure_agreement(random_items(16, nodes=20, ordered=True), planted, separations=[3, 6])
    figure = agreement_heat_maps(found)
    panels = [axes for axes in figure.axes if axes.get_xlabel() == "head"]
    assert len(panels) == 4
    assert panels[0].get_title().startswith("AUROC, pairs 3 or more apart\nregression 1.00")
    cells = panels[0].images[0].get_array()
    assert cells.shape == (2, 2)  # layer 2 draws no graph
    assert cells[1, 1] == pytest.approx(1)
    _, pairs = found.example
    figure = agreement_map(pairs, found.probability, list("ACDEFGHIKLMNPQRSTVWY"), separation=3)
    predicted = figure.axes[0].images[0].get_array()
    assert np.ma.is_masked(predicted[0, 10])  # above the diagonal stands the truth
    assert np.ma.is_masked(predicted[5, 3])  # too near
    assert 0 <= predicted[10, 0] <= 1
    points = figure.axes[0].collections[0].get_offsets()
    far = pairs.joined & (pairs.distance >= 3)
    assert len(points) == far.sum()
    assert (points[:, 0] > points[:, 1]).all()


def test_of_equal_items_one_counts():
    items = random_items(12)
    for item, text in zip(items, "aabbbcdefghi", strict=True):
        item.text = text
    found = measure_agreement(items, planted, fit_items=3)
    kept = [items[place].row for place in (0, 2, 5, 6, 7, 8, 9, 10, 11)]
    assert sorted(found.fitted + found.measured) == kept
    assert sum(found.left_out.values()) == 3


@pytest.mark.parametrize("seed", range(4))
def test_the_only_contact_of_a_large_item_is_not_missed(seed):
    items = []
    for row in range(2):
        edge_index = torch.tensor([[0, 200], [200, 0]])
        items.append(Data(edge_index=edge_index, num_nodes=400, row=row))
    found = measure_agreement(items, planted, fit_items=1, seed=seed)
    assert found.find("regression", 0, "auroc").mean > 0.999
