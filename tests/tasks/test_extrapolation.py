"""Predictions lie near what the training targets were, however odd what is predicted is."""

import math

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data

from gia.data import DataModule
from gia.nn import Ensemble
from gia.tasks import Regression
from gia.tasks.losses import MSE, Gaussian, Quantile


class Says(nn.Module):
    """Numbers that stand in the graph."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def forward(self, data):
        return data.said * self.factor


def task(loss=None, model=None, **settings):
    options = {"target_range": [[0.0, 10.0]], "target_mean": [5.0], "target_std": [2.0]}
    return Regression(
        Says() if model is None else model,
        target_names=["y"],
        loss=MSE() if loss is None else loss,
        optimizer=torch.optim.SGD,
        **options | settings,
    )


def batch(*said, y=math.nan):
    """Graphs of which the model says so many numbers, normalised."""
    rows = [row if isinstance(row, list) else [row] for row in said]
    return Batch.from_data_list(
        [
            Data(said=torch.tensor([row]), y=torch.tensor([[y]]), num_nodes=1, row=i, name=str(i))
            for i, row in enumerate(rows)
        ]
    )


def test_a_tenth_of_the_range_and_no_farther():
    found = task().eval().predict_step(batch(-9.0, -2.9, 0.0, 2.0, 50.0))
    assert found.flatten().tolist() == pytest.approx([-1.0, -0.8, 5.0, 9.0, 11.0], rel=1e-5)
    wide = task(extrapolation=0.5).eval().predict_step(batch(-9.0, 50.0))
    assert wide.flatten().tolist() == pytest.approx([-5.0, 15.0])
    for settings in ({"extrapolation": None}, {"target_range": None}):
        free = task(**settings).eval().predict_step(batch(-9.0, 50.0))
        assert free.flatten().tolist() == pytest.approx([-13.0, 105.0])


def test_the_metrics_are_of_what_is_predicted():
    data = batch(-9.0, 2.0, y=0.0)
    measured = task().eval()
    measured.measure(measured.test_metrics, data)
    assert measured.test_metrics.compute()["rmse"] == pytest.approx(math.sqrt((1 + 81) / 2))


def test_training_is_not_held_back():
    """Where a number is held, no gradient would bring it back."""
    data = batch(50.0, y=5.0)
    data.said.requires_grad_()
    learned = task()
    loss, _ = learned.train().loss(data)
    assert loss.item() == pytest.approx(50.0**2)
    loss.backward()
    assert data.said.grad.item() == pytest.approx(100.0)


def test_of_a_distribution_or_of_quantiles_the_prediction_is_held():
    mean, std = task(Gaussian()).eval().predict_step(batch([50.0, 3.0]))[0, 0].tolist()
    assert (mean, std) == pytest.approx((11.0, 2 * math.sqrt(math.log1p(math.exp(3)))), rel=1e-4)
    levels = task(Quantile()).eval().predict_step(batch([20.0, 21.0, 23.0]))
    assert levels.flatten().tolist() == pytest.approx([9.0, 11.0, 15.0])  # as wide as before


def test_members_that_all_say_too_much_are_no_surer_for_that():
    several = task(model=Ensemble([Says(1.0), Says(2.0)])).eval()
    mean, std = several.predict_with_uncertainty(batch(20.0))
    assert mean.item() == pytest.approx(11.0)
    assert std.item() == pytest.approx(2.0 * 10.0)  # of 20 and 40, in physical units


def test_a_member_that_says_too_much_is_held_before_it_is_averaged():
    several = task(model=Ensemble([Says(0.0), Says(0.0), Says(1000.0)])).eval()
    mean, _ = several.predict_with_uncertainty(batch(1.0))
    assert mean.item() == pytest.approx((5.0 + 5.0 + 11.0) / 3)
    assert several.predict_step(batch(1.0)).item() == pytest.approx(mean.item())


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_stays_none(value):
    assert not task().eval().predict_step(batch(value)).isfinite()


def test_an_explanation_takes_what_the_model_says_itself():
    data = batch(50.0)
    data.said.requires_grad_()
    explained = task().eval()
    explained.predict_freely(data).sum().backward()
    assert data.said.grad.item() == pytest.approx(2.0)
    assert explained.predict_freely(data).item() == pytest.approx(105.0)


def test_each_target_has_its_own_range():
    two = Regression(
        nn.Identity(),
        target_names=["y", "z"],
        target_mean=[5.0, 0.0],
        target_std=[2.0, 1.0],
        target_range=[[0.0, 10.0], [-1.0, 1.0]],
        optimizer=torch.optim.SGD,
    )
    held = two.eval().within(torch.tensor([[[9.0], [9.0]], [[-9.0], [0.5]]]))
    torch.testing.assert_close(held.squeeze(-1), torch.tensor([[3.0, 1.2], [-3.0, 0.5]]))


def test_what_a_bound_leaves_open_stays_open():
    """Targets above what can be measured: the training knows no largest one."""
    inf = math.inf
    graphs = [
        Data(
            x=torch.tensor([[1.0], [i]]),
            edge_index=torch.tensor([[0], [1]]),
            y=torch.tensor([[float(i)]]),
        )
        for i in range(40)
    ]
    for data in graphs:
        data.y_bounds = torch.tensor([[[-inf, inf]]])
    for data in graphs[::4]:
        data.y, data.y_bounds = torch.tensor([[math.nan]]), torch.tensor([[[50.0, inf]]])
    data = DataModule(graphs, target_type="regression", split="random", batch_size=8)
    ((lowest, highest),) = data.inputs()["target_range"]
    assert highest == inf
    assert 0 < lowest < 10
    open_above = task(target_range=[[lowest, highest]]).eval()
    assert open_above.predict_step(batch(1e6)).item() == pytest.approx(2e6, rel=1e-4)
    assert open_above.predict_step(batch(-1e6)).item() == pytest.approx(lowest - 0.2, rel=1e-4)


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_an_extrapolation_out_of_range_is_named(value):
    with pytest.raises(ValueError, match=r"task\.extrapolation must be a number of at least 0"):
        task(extrapolation=value)


def test_ranges_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="there are 1 targets, but 2 target ranges"):
        task(target_range=[[0.0, 1.0], [0.0, 1.0]])
