import math

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from laws import make_model
from sklearn import metrics as sk
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import global_mean_pool

from gia.tasks import Classification, Regression

NAN = math.nan
ADAM = torch.optim.Adam


class Pooled(nn.Module):
    """The smallest model: a linear layer on mean node features, or on the nodes themselves."""

    def __init__(self, in_channels, out_channels, level="graph"):
        super().__init__()
        self.linear, self.level = nn.Linear(in_channels, out_channels), level

    def forward(self, data):
        x = data.x if self.level == "node" else global_mean_pool(data.x, data.batch)
        return self.linear(x)


class InputGraph(nn.Module):
    """Says what it was told to say."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, data):
        return data.output * self.scale


def batch_of(output, y):
    """One graph a row."""
    rows = zip(torch.tensor(output), torch.tensor(y), strict=True)
    graphs = [
        Data(x=torch.ones(1, 1), output=said[None], y=target[None].float()) for said, target in rows
    ]
    return Batch.from_data_list(graphs)


def regression(model=None, mean=(0.0,), std=(1.0,), **kwargs):
    names = [f"t{number}" for number in range(len(mean))]
    return Regression(
        model or InputGraph(),
        target_names=names,
        target_mean=mean,
        target_std=std,
        optimizer=ADAM,
        **kwargs,
    )


def classification(model=None, targets=1, classes=2, **kwargs):
    return Classification(
        model or InputGraph(),
        target_names=[f"t{number}" for number in range(targets)],
        class_names=[f"c{number}" for number in range(classes)],
        optimizer=ADAM,
        **kwargs,
    )


def measured(task, *batches):
    task.eval()
    for batch in batches:
        task.measure(task.test_metrics, batch)
    return {name: value.item() for name, value in task.test_metrics.compute().items()}


def test_regression_by_hand():
    # Normalised targets are -1, 0, 1; the model says -1, 1, 1.
    task = regression(mean=[300.0], std=[20.0])
    batch = batch_of([[-1.0], [1.0], [1.0]], [[280.0], [300.0], [320.0]])
    loss, weight = task.loss(batch)
    assert loss.item() == pytest.approx(1 / 3)
    assert weight == 3
    assert task.predict_step(batch).tolist() == [[280.0], [320.0], [320.0]]
    assert measured(task, batch) == pytest.approx(
        {
            "loss": 1 / 3,
            "rmse": 20 * math.sqrt(1 / 3),
            "mae": 20 / 3,
            "r2": 1 - 1 / 2,
            "rmse_normalised": math.sqrt(1 / 3),
        }
    )


def test_a_part_of_a_single_graph():
    one = measured(regression(mean=[300.0], std=[20.0]), batch_of([[0.0]], [[310.0]]))
    assert math.isnan(one.pop("r2"))
    assert one == pytest.approx({"loss": 0.25, "rmse": 10, "mae": 10, "rmse_normalised": 0.5})
    one = measured(classification(), batch_of([[0.0, 1.0]], [[1]]))
    assert one["accuracy"] == 1


def test_classification_by_hand():
    task = classification()
    probability = torch.tensor([0.9, 0.4, 0.8, 0.3])  # of class 1
    logits = torch.stack([(1 - probability).log(), probability.log()], 1)
    batch = batch_of(logits.tolist(), [[1], [1], [0], [0]])
    loss = -np.log([0.9, 0.4, 0.2, 0.7]).mean()
    assert task.loss(batch)[0].item() == pytest.approx(loss)
    torch.testing.assert_close(
        task.predict_step(batch), torch.stack([1 - probability, probability], 1)[:, None]
    )
    # Pairs in order: 0.9 above both, 0.4 above 0.3 alone.
    assert measured(task, batch) == pytest.approx(
        {"loss": loss, "accuracy": 0.5, "balanced_accuracy": 0.5, "auroc": 0.75, "mcc": 0.0},
        abs=1e-6,
    )


@pytest.mark.parametrize(
    "task", [regression(mean=[3.0] * 2, std=[2.0] * 2), classification(targets=2, classes=3)]
)
def test_missing_targets_teach_nothing(task):
    y = [[1.0, NAN], [NAN, NAN], [2.0, 0.0]]
    width = math.prod(task.output_shape)
    output = torch.randn(3, width)
    batch = batch_of(output.tolist(), y)
    batch.output.requires_grad_()
    loss, _ = task.loss(batch)
    loss.backward()
    gradient = batch.output.grad.view(3, *task.output_shape).reshape(3, 2, -1)
    assert (gradient != 0).any(-1).tolist() == [[True, False], [False, False], [True, True]]
    # What is said of a missing target changes nothing, not even nonsense.
    output.view(3, 2, -1)[1] = torch.nan
    assert task.loss(batch_of(output.tolist(), y))[0].item() == pytest.approx(loss.item())


def test_classes_of_one_target_are_none_of_another():
    task = Classification(
        InputGraph(),
        target_names=["a", "b"],
        class_names=[["high", "low"], ["x", "y", "z"]],
        optimizer=ADAM,
    )
    logits = torch.randn(6, 5)
    y = torch.tensor([[0, 0], [1, 1], [0, 2], [1, NAN], [NAN, 0], [1, 1]])
    batch = batch_of(logits.tolist(), y.tolist())
    parts = [logits[:, :2], logits[:, 2:]]
    each = [
        F.cross_entropy(part[~t.isnan()], t[~t.isnan()].long(), reduction="none")
        for part, t in zip(parts, y.T, strict=True)
    ]
    assert task.loss(batch)[0].item() == pytest.approx(torch.cat(each).mean().item())
    said = task.predict_step(batch)
    torch.testing.assert_close(said[:, 0], F.pad(parts[0].softmax(1), (0, 1)))
    torch.testing.assert_close(said[:, 1], parts[1].softmax(1))
    found = measured(task, batch)
    known = ~y.isnan()
    for name, t, part in (("a", 0, parts[0]), ("b", 1, parts[1])):
        rows, probability = known[:, t], part.softmax(1).double()
        expected = sk.roc_auc_score(
            y[rows, t], probability[rows, 1] if t == 0 else probability[rows], multi_class="ovr"
        )
        assert found[f"auroc/{name}"] == pytest.approx(expected)
        right = (part[rows].argmax(1) == y[rows, t]).float().mean().item()
        assert found[f"accuracy/{name}"] == pytest.approx(right)
    assert task.output_columns() == [
        *("predicted_a", "probability_a_high", "probability_a_low"),
        *("predicted_b", "probability_b_x", "probability_b_y", "probability_b_z"),
    ]
    cells = task.output_cells(said[0])
    assert (len(cells), cells[0] in ("high", "low"), cells[3] in "xyz") == (7, True, True)
    assert task.target_cells(y[3]) == ["low", ""]
    shares = task.trivial_output(y).exp()
    torch.testing.assert_close(
        shares, torch.tensor([[3 / 7, 4 / 7, 0], [3, 3, 2]]) / torch.tensor([[1], [8]])
    )


@pytest.mark.parametrize("task", [regression(mean=[3.0], std=[2.0]), classification()])
def test_a_batch_without_targets_has_no_loss_and_a_gradient_of_zero(task):
    width = math.prod(task.output_shape)
    loss, _ = task.loss(batch_of([[1.0] * width] * 2, [[NAN], [NAN]]))
    assert loss.item() == 0
    loss.backward()
    assert task.model.scale.grad.item() == 0


def test_regression_agrees_with_scikit_learn_on_every_known_target():
    mean, std = np.array([300.0, -2.0]), np.array([40.0, 0.01])
    random = np.random.default_rng(0)
    y = mean + std * random.normal(size=(50, 2))
    said = (y - mean) / std + 0.3 * random.normal(size=(50, 2))
    y[random.random((50, 2)) < 0.3] = NAN
    task = regression(mean=mean.tolist(), std=std.tolist())
    halves = [batch_of(said[half].tolist(), y[half].tolist()) for half in (slice(7), slice(7, 50))]
    found = measured(task, *halves)
    predicted = said * std + mean
    for number, name in enumerate(["t0", "t1"]):
        known = ~np.isnan(y[:, number])
        pair = y[known, number], predicted[known, number]
        rmse = sk.root_mean_squared_error(*pair)
        assert found[f"rmse/{name}"] == pytest.approx(rmse, rel=1e-3)
        assert found[f"mae/{name}"] == pytest.approx(sk.mean_absolute_error(*pair), rel=1e-3)
        assert found[f"r2/{name}"] == pytest.approx(sk.r2_score(*pair), abs=1e-3)
        assert found[f"rmse_normalised/{name}"] == pytest.approx(rmse / std[number], rel=1e-3)
    for metric in ("rmse", "mae", "r2", "rmse_normalised"):
        both = [found[f"{metric}/t0"], found[f"{metric}/t1"]]
        assert found[metric] == pytest.approx(np.mean(both), rel=1e-5)
    # Every known value weighs the same in the loss, whichever target it is of.
    known = ~np.isnan(y)
    assert found["loss"] == pytest.approx(np.mean(((predicted - y) / std)[known] ** 2), rel=1e-3)
    assert found["loss"] == pytest.approx(
        task.loss(batch_of(said.tolist(), y.tolist()))[0].item(), rel=1e-4
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_classification_agrees_with_scikit_learn_on_every_known_target(classes):
    random = np.random.default_rng(0)
    y = random.integers(classes, size=(60, 2)).astype(float)
    logits = random.normal(size=(60, 2, classes)) + 1.5 * np.eye(classes)[y.astype(int)]
    y[random.random((60, 2)) < 0.3] = NAN
    task = classification(targets=2, classes=classes)
    batches = [
        batch_of(logits[part].reshape(-1, 2 * classes).tolist(), y[part].tolist())
        for part in (slice(11), slice(11, 60))
    ]
    found = measured(task, *batches)
    losses = []
    for number, name in enumerate(["t0", "t1"]):
        known = ~np.isnan(y[:, number])
        target, scores = y[known, number].astype(int), logits[known, number]
        probability = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        losses.append(-np.log(probability[np.arange(len(target)), target]))
        chosen = scores.argmax(1)
        assert found[f"accuracy/{name}"] == pytest.approx(sk.accuracy_score(target, chosen))
        assert found[f"mcc/{name}"] == pytest.approx(sk.matthews_corrcoef(target, chosen))
        auroc = sk.roc_auc_score(
            target, probability[:, 1] if classes == 2 else probability, multi_class="ovr"
        )
        assert found[f"auroc/{name}"] == pytest.approx(auroc, abs=1e-6)
    assert found["auroc"] == pytest.approx((found["auroc/t0"] + found["auroc/t1"]) / 2)
    assert found["loss"] == pytest.approx(np.concatenate(losses).mean(), rel=1e-5)


def test_an_absent_class_is_named_once():
    task = classification(targets=2, classes=3)
    batch = batch_of([[0.0, 1, 0, 1, 0, 0]] * 4, [[0, 0], [1, 1], [1, 2], [0, NAN]])
    with pytest.warns(UserWarning, match="test: the class 'c2' of 't0' is absent") as caught:
        found = measured(task, batch)
    assert len([one for one in caught if "absent" in str(one.message)]) == 1
    assert math.isnan(found["auroc/t0"])
    assert found["auroc/t1"] == found["auroc"] == 0.5
    assert found["mcc/t0"] == 0  # always the same class
    assert found["accuracy/t0"] == 0.5


@pytest.mark.filterwarnings("error")
def test_targets_that_cannot_be_measured_are_nan():
    task = regression(mean=[0.0, 0.0], std=[1.0, 1.0])
    found = measured(task, batch_of([[1.0, 1.0], [1.0, 2.0]], [[1.5, NAN], [NAN, NAN]]))
    assert math.isnan(found["r2/t0"])
    assert found["rmse/t0"] == found["rmse"] == 0.5  # of the targets that have one
    assert math.isnan(found["rmse/t1"])
    nothing = measured(task, batch_of([[1.0, 1.0]], [[NAN, NAN]]))
    assert all(math.isnan(value) for value in nothing.values())


def test_always_the_same_class_is_no_correlation():
    found = measured(classification(), batch_of([[0.0, 1.0]] * 10, [[1]] * 9 + [[0]]))
    assert found["mcc"] == 0
    assert found["accuracy"] == pytest.approx(0.9)


def test_measuring_starts_again():
    task = regression()
    batch = batch_of([[1.0], [2.0]], [[0.0], [0.0]])
    assert measured(task, batch) == measured(task, batch)


def test_half_precision_keeps_units_and_metrics():
    task = regression(mean=[301.7], std=[0.37]).to(torch.bfloat16)
    assert task.scaler.mean.item() == pytest.approx(301.7)
    assert task.scaler.std.item() == pytest.approx(0.37)
    y = 301.7 + 0.37 * torch.randn(300, 1)
    batch = batch_of(torch.zeros(300, 1, dtype=torch.bfloat16).tolist(), y.tolist())
    batch.output = batch.output.to(torch.bfloat16)
    for _ in range(20):
        task.measure(task.val_metrics, batch)
    rmse = (y - 301.7).square().mean().sqrt().item()
    assert task.val_metrics.compute()["rmse"].item() == pytest.approx(rmse, rel=1e-4)
    assert task.predict_step(batch).dtype == torch.float32
    assert task.double().predict_step(batch).dtype == torch.float64


def graphs(level, targets, number=60):
    """Graphs whose targets are the mean of their features, or nodes whose targets are their own."""
    found = []
    for index in range(number):
        x = torch.randn(int(torch.randint(1, 5, (1,))), targets)
        y = 50 + 10 * (x if level == "node" else x.mean(0, keepdim=True))
        y[torch.rand_like(y) < 0.1] = NAN
        none = torch.empty(2, 0, dtype=torch.long)
        found.append(Data(x=x, edge_index=none, y=y, name=f"g{index}", row=index))
    return found


@pytest.mark.parametrize("level", ["graph", "node"])
def test_a_trained_task_is_good_at_it_and_comes_back_from_its_checkpoint(level, tmp_path):
    data = graphs(level, targets=2)
    loaders = [DataLoader(part, batch_size=16) for part in (data, data[:20], data[20:40])]
    task = Regression(
        Pooled(2, 2, level),
        target_names=["a", "b"],
        target_mean=[50.0, 50.0],
        target_std=[10.0, 10.0],
        level=level,
        optimizer=lambda groups: ADAM(groups, lr=0.1),
    )
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_epochs=25, accelerator="cpu", default_root_dir=tmp_path, num_sanity_val_steps=0, **quiet
    )
    trainer.fit(task, loaders[0], loaders[1:])
    logged = trainer.callback_metrics
    gap = logged["val/loss"] - logged["train_eval/loss"]
    assert logged["generalisation_gap"].item() == pytest.approx(gap.item(), abs=1e-6)
    (tested,) = trainer.test(task, loaders[1], verbose=False)
    assert tested["test/rmse/a"] < 1
    assert tested["test/r2"] > 0.95
    trainer.save_checkpoint(tmp_path / "task.ckpt")
    state = torch.load(tmp_path / "task.ckpt", weights_only=True)["state_dict"]
    assert state["scaler.mean"].tolist() == [50.0, 50.0]
    other = regression(Pooled(2, 2, level), mean=[0.0, 0.0], std=[1.0, 1.0])
    other.load_state_dict(state)
    first, again = (
        torch.cat(trainer.predict(one, loaders[1])) for one in (task.eval(), other.eval())
    )
    assert torch.equal(first, again)
    assert len(first) == (20 if level == "graph" else sum(one.num_nodes for one in data[:20]))


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="at least 2 classes, got"):
        classification(classes=1)
    with pytest.raises(ValueError, match=r"must be finite and above 0, got 0\.0: take 1"):
        regression(std=[0.0])
    with pytest.raises(ValueError, match="mean must be finite, got nan"):
        regression(mean=[NAN])
    with pytest.raises(ValueError, match="level must be graph or node, got 'edge'"):
        regression(level="edge")
    with pytest.raises(ValueError, match="1 target means, but 2 target stds"):
        regression(std=[1.0, 1.0])
    with pytest.raises(ValueError, match="target_names is empty"):
        regression(mean=[], std=[])
    with pytest.raises(ValueError, match=r"must give \[.., 6\], \[2, 3\] for each graph"):
        classification(targets=2, classes=3).loss(batch_of([[0.0] * 5], [[0, 0]]))
    batch = batch_of([[0.0], [0.0]], [[0.0], [0.0]])
    batch.y = batch.y[:1]
    with pytest.raises(ValueError, match=r"\[2, 1\] outputs for \[1, 1\] targets"):
        regression().loss(batch)


def test_balanced_accuracy_is_the_mean_over_classes_that_are_there():
    logits = torch.eye(3)[[0, 0, 0, 1, 2]]  # of three of class 0 and two of class 1, one is wrong
    with pytest.warns(UserWarning, match="'c2' of 't0' is absent"):
        found = measured(
            classification(classes=3), batch_of(logits.tolist(), [[0]] * 3 + [[1]] * 2)
        )
    assert found["accuracy"] == pytest.approx(4 / 5)
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)


def test_a_language_model_predicts_no_target():
    with pytest.raises(ValueError, match="says what comes next, and not y: choose model=graph_tra"):
        Regression(make_model("gin"), target_names=["y"], target_mean=[0.0], target_std=[1.0])
