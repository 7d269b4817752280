"""How much targets, classes and rows count in a loss."""

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import Batch, Data

from gia.tasks import Classification, Regression
from gia.tasks.losses import Gaussian, Quantile
from gia.tasks.weights import class_weights, target_weights

NAN, INF = math.nan, math.inf


class Told(nn.Module):
    """Says what it was told to say."""

    def forward(self, data):
        return data.output


def batch_of(output, y, **more):
    keys = {"output": output, "y": y, **more}
    rows = zip(*(torch.tensor(value) for value in keys.values()), strict=True)
    graphs = [
        Data(x=torch.ones(1, 1), **{k: v[None].float() for k, v in zip(keys, row, strict=True)})
        for row in rows
    ]
    return Batch.from_data_list(graphs)


def regression(targets=1, **kwargs):
    kwargs = {"target_mean": [0.0] * targets, "target_std": [1.0] * targets} | kwargs
    names = [f"t{number}" for number in range(targets)]
    return Regression(Told(), target_names=names, optimizer=torch.optim.Adam, **kwargs)


def classification(**kwargs):
    return Classification(
        Told(), target_names=["a", "b"], class_names=[["0", "1"], ["x", "y", "z"]],
        optimizer=torch.optim.Adam, **kwargs,
    )  # fmt: skip


def measured(task, batch):
    task.eval()
    task.measure(task.test_metrics, batch)
    return {name: value.item() for name, value in task.test_metrics.compute().items()}


def test_weights_of_targets_and_rows_multiply_their_terms():
    task = regression(2, target_weights={"t1": 3.0}, mean_weight=2.0)
    batch = batch_of([[1.0, 2.0], [5.0, 5.0]], [[0.0, 0.0], [NAN, 4.0]], weight=[4.0, 1.0])
    expected = (2 * 0.5 * 1 + 2 * 1.5 * 4 + 0.5 * 1.5 * 1) / 3
    assert task.loss(batch)[0].item() == pytest.approx(expected)
    found = measured(task, batch)
    assert found["loss"] == pytest.approx(expected)
    assert found["rmse/t1"] == pytest.approx(math.sqrt((4 + 1) / 2))  # metrics count all alike
    trivial = task.trivial_metrics(batch.to_data_list(), batch.to_data_list())
    assert trivial["loss"] == pytest.approx((2 * 1.5 * 4 + 0.5 * 1.5 * 4) / 3)  # always 0 and 2
    assert "target_weights" not in task.state_dict()


def test_bounds_enter_the_loss_and_no_metric():
    """In physical units: the mean is 10, the spread 2."""
    task = regression(target_mean=[10.0], target_std=[2.0])
    free, below = [-INF, INF], [-INF, 8.0]
    batch = batch_of(
        [[0.5], [2.0], [-3.0]], [[10.0], [NAN], [NAN]], y_bounds=[[free], [below], [below]]
    )
    expected = (0.5**2 + 3**2) / 3  # a bound of -1; the last one keeps it
    assert task.loss(batch)[0].item() == pytest.approx(expected)
    found = measured(task, batch)
    assert (found["loss"], found["rmse"]) == (pytest.approx(expected), pytest.approx(1.0))
    alone = measured(task, batch_of([[2.0]], [[NAN]], y_bounds=[[below]]))
    assert (alone["loss"], math.isnan(alone["rmse"])) == (pytest.approx(9), True)


def test_balanced_classes_are_those_of_scikit_learn():
    counts = [[30, 10], [6, 0, 4]]
    task = classification(class_weights="balanced", class_counts=counts)
    y = np.repeat([0, 1], counts[0])
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=y)
    assert task.class_weights[0, :2].tolist() == pytest.approx(expected.tolist())
    # A class that is absent from training leaves the others balanced.
    assert task.class_weights[1, [0, 2]].tolist() == pytest.approx([10 / 12, 10 / 8])
    batch = batch_of(
        [[1.0, 0, 2, 0, 1], [0, 1, 0, 0, 3]], [[0.0, 2.0], [1.0, NAN]], weight=[1.0, 2.0]
    )
    logits = batch.output
    terms = [
        (0, 0, F.cross_entropy(logits[:1, :2], torch.tensor([0])), 1.0),
        (0, 1, F.cross_entropy(logits[1:, :2], torch.tensor([1])), 2.0),
        (1, 2, F.cross_entropy(logits[:1, 2:], torch.tensor([2])), 1.0),
    ]
    total = sum(float(task.class_weights[t, c] * loss) * row for t, c, loss, row in terms)
    assert task.loss(batch)[0].item() == pytest.approx(total / 3)


def test_class_weights_are_one_in_the_mean_over_training():
    weights = class_weights([1, 9], [["no", "yes"]], [[90, 10]])[0]
    assert float(weights[1] / weights[0]) == pytest.approx(9)
    assert float((weights * torch.tensor([90, 10])).sum() / 100) == pytest.approx(1)
    named = class_weights({"yes": 9}, [["no", "yes"], ["yes", "x"]], [])
    assert named.tolist() == [[1, 9], [9, 1]]
    assert class_weights({1: 2}, [["0", "1"]], []).tolist() == [[1, 2]]
    assert target_weights([1, 3], ["a", "b"]).tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1, 2, 3], r"target_weights has 3 numbers for 2: one for each target, a, b"),
        ({"c": 1}, "target_weights names 'c', which is no target: a, b"),
        ([1, -1], "target_weights: -1 for 'b' is no number of at least 0"),
        ([1, NAN], "target_weights: nan for 'b' is no number"),
        (["x", 1], "target_weights: 'x' for 'a' is no number"),
        ([0, 0], "target_weights are all 0: nothing would be learned"),
        (2, "target_weights must be numbers, or numbers by name, got 2"),
    ],
)
def test_bad_target_weights_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        target_weights(given, ["a", "b"])


@pytest.mark.parametrize(
    ("given", "counts", "message"),
    [
        ("balanced", [], "balanced needs task.class_counts"),
        ("equal", [[1, 1]], "must be balanced, numbers or numbers by name, got 'equal'"),
        ({"maybe": 2}, [[1, 1]], "names 'maybe', which is no class: no, yes"),
        ([1, 2, 3], [[1, 1]], "has 3 numbers for 2: one for each class, no, yes"),
        ({"no": 0}, [[5, 0]], "are 0 for all classes of the training targets"),
    ],
)
def test_bad_class_weights_are_named(given, counts, message):
    with pytest.raises(ValueError, match=message):
        class_weights(given, [["no", "yes"]], counts)


def test_losses_of_the_other_kind_are_refused():
    with pytest.raises(ValueError, match="Quantile is no loss of classes: use loss=cross_entropy"):
        classification(loss=Quantile())
    with pytest.raises(ValueError, match="CrossEntropy is no loss of numbers: use loss=mse"):
        regression(loss=classification().criterion)


def test_several_numbers_of_each_target():
    """Which are predicted in physical units, with all metrics of the prediction."""
    task = regression(2, loss=Gaussian(), target_mean=[10.0, -1.0], target_std=[2.0, 0.5])
    raw = [[0.5, 1.0, -1.0, 0.0], [0.0, 0.3, 2.0, -40.0]]
    batch = batch_of(raw, [[11.0, -1.5], [12.0, NAN]])
    output = task.predict_step(batch)
    assert output.shape == (2, 2, 2)
    assert task.predicted(output).tolist() == [[11.0, -1.5], [10.0, 0.0]]
    std = 2 * math.sqrt(math.log1p(math.exp(1.0)) + 1e-6)
    assert output[0, 0, 1].item() == pytest.approx(std)
    assert output[1, 1, 1].item() == pytest.approx(0.5 * 1e-3, rel=1e-3)  # the least there is
    found = measured(task, batch)
    assert found["mae/t0"] == pytest.approx(1.0)
    assert found["mae/t1"] == pytest.approx(0.0)
    assert task.output_cells(output[0]) == ["11", "-1.5"]
    assert task.LOSS_NAME == "loss (negative log-likelihood, normalised, nats)"
    trivial = task.trivial_output(batch.y)
    assert trivial.shape == (2, 2)
    one = regression()
    assert one.predict_step(batch_of([[3.0]], [[0.0]])).tolist() == [[3.0]]
