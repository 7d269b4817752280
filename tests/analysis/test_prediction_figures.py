import math

import pytest
import torch
from sklearn import metrics as sk

from gia.analysis import confusion_matrix, parity_plot, residual_histogram, roc_curves, save

NAN = math.nan


def panels(figure):
    return [axes for axes in figure.axes if axes.get_title()]


def test_parity_plot_shows_known_pairs_and_their_errors():
    target = torch.tensor([[1.0], [2.0], [NAN], [4.0]])
    prediction = torch.tensor([[1.0], [3.0], [9.0], [4.0]])
    (axes,) = panels(parity_plot(target, prediction, ["log S"]))
    assert axes.collections[0].get_offsets().tolist() == [[1, 1], [2, 3], [4, 4]]
    (text,) = axes.texts
    r2 = sk.r2_score([1, 2, 4], [1, 3, 4])
    assert text.get_text().split("\n") == ["MAE 0.333", "RMSE 0.577", f"R² {r2:.3f}", "n 3"]
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_title() == "log S"


def test_r2_of_small_numbers_is_right():
    target = 1e-6 * torch.randn(50, 1, dtype=torch.float64)
    prediction = target + 3e-7 * torch.randn(50, 1, dtype=torch.float64)
    (axes,) = panels(parity_plot(target, prediction, ["small"]))
    assert f"R² {sk.r2_score(target, prediction):.3f}" in axes.texts[0].get_text()


def test_residuals_are_prediction_minus_target():
    target = torch.tensor([[1.0], [2.0], [NAN], [4.0], [5.0]])
    prediction = torch.tensor([[2.0], [3.0], [0.0], [5.0], [8.0]])
    (axes,) = panels(residual_histogram(target, prediction, ["y"]))
    assert sum(bar.get_height() for bar in axes.patches) == 4
    assert axes.get_legend().get_texts()[0].get_text() == "mean 1.5"
    assert axes.patches[0].get_x() == 1
    assert axes.patches[0].get_height() == 3


def one_hot(classes, number):
    return torch.nn.functional.one_hot(torch.tensor(classes), number).float()[:, None]


def test_confusion_matrix_counts_known_pairs():
    target = torch.tensor([[0.0], [0.0], [1.0], [2.0], [NAN]])
    probability = one_hot([0, 1, 1, 2, 0], 3)
    (axes,) = panels(confusion_matrix(target, probability, ["y"], ["a", "b", "c"]))
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts[0, 0] == counts[1, 0] == counts[1, 1] == counts[2, 2] == "1"
    assert counts[0, 1] == "0"  # x is the predicted class, y the true one
    assert axes.images[0].get_array().tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


def test_roc_of_two_classes_is_one_curve():
    target = torch.randint(2, (40, 1)).float()
    target[:5] = NAN
    positive = torch.rand(40)
    probability = torch.stack([1 - positive, positive], 1)[:, None]
    (axes,) = panels(roc_curves(target, probability, ["y"], ["no", "yes"]))
    _, curve = axes.lines
    known = (target[5:, 0], positive[5:])
    assert curve.get_label() == f"yes: AUROC {sk.roc_auc_score(*known):.3f}"
    false, true, _ = sk.roc_curve(*known, drop_intermediate=False)
    assert curve.get_xdata().tolist() == pytest.approx(false.tolist())
    assert curve.get_ydata().tolist() == pytest.approx(true.tolist())


def test_roc_of_several_classes_is_each_against_the_rest():
    target = torch.arange(90)[:, None] % 3.0
    probability = torch.rand(90, 1, 4).softmax(-1)
    (axes,) = panels(roc_curves(target, probability, ["y"], ["a", "b", "c", "d"]))
    labels = [line.get_label() for line in axes.lines[1:]]
    for index, name in enumerate("abc"):
        area = sk.roc_auc_score(target[:, 0] == index, probability[:, 0, index])
        assert labels[index] == f"{name}: AUROC {area:.3f}"
    assert labels[3] == "d: no curve"  # there is none of it
    many = torch.rand(300, 1, 14).softmax(-1)
    (axes,) = panels(
        roc_curves(torch.arange(300)[:, None] % 14.0, many, ["y"], list("abcdefghijklmn"))
    )
    assert len(axes.lines) == 11
    assert axes.get_legend().get_title().get_text() == "each class against the rest (10 of 14)"


@pytest.mark.parametrize("draw", [parity_plot, residual_histogram])
def test_each_target_has_a_panel_up_to_six(draw, tmp_path):
    target = torch.randn(20, 8)
    target[:, 1] = NAN
    figure = draw(target, target.nan_to_num() + 1, [f"t{number}" for number in range(8)])
    shown = panels(figure)
    assert [axes.get_title() for axes in shown] == [f"t{number}" for number in range(6)]
    assert figure.get_suptitle() == "the first 6 of 8 targets"
    assert shown[1].texts[0].get_text() == "no known target"
    assert len(save(figure, tmp_path / "picture")) == 2


def test_few_and_equal_values_are_drawn(tmp_path):
    for number, target in enumerate([torch.ones(1, 1), torch.ones(3, 1), torch.full((2, 1), NAN)]):
        save(parity_plot(target, torch.ones_like(target), ["y"]), tmp_path / f"parity{number}")
        save(residual_histogram(target, torch.ones_like(target), ["y"]), tmp_path / f"r{number}")
    target, probability = torch.full((2, 1), NAN), torch.full((2, 1, 2), 0.5)
    for draw in (confusion_matrix, roc_curves):
        (axes,) = panels(draw(target, probability, ["y"], ["a", "b"]))
        assert axes.texts[0].get_text() == "no known target"
