"""Gradient boosting answers as the forest does: LightGBM's predictions, stopped on validation."""

import sys

import numpy as np
import pytest
import torch
from nn.test_forest import NAN, SMILES, graphs, targets
from torch_geometric.data import Batch

from gia.data.fingerprints import morgan_fingerprints
from gia.nn import FingerprintBoosting, GraphFeatures, count_parameters
from gia.tasks.losses import MAE, MSE, Huber

pytest.importorskip("rdkit")
lightgbm = pytest.importorskip("lightgbm")
SAME = {"deterministic": True, "force_row_wise": True, "verbosity": -1, "random_state": 0}
OURS = {"num_trees": 40, "min_samples_leaf": 2}
THEIRS = {"n_estimators": 40, "learning_rate": 0.05, "colsample_bytree": 0.33, **SAME}
THEIRS["min_child_samples"] = 2


def test_numbers_are_lightgbms_normalised_and_masked():
    mean, std = [5.0, 100.0], [2.0, 50.0]
    data = graphs(targets())
    model = FingerprintBoosting(out_channels=2, target_mean=mean, target_std=std, **OURS)
    output = model.fit(data)(Batch.from_data_list(data))
    x = morgan_fingerprints(SMILES)
    for column, known in enumerate([slice(None), slice(None, None, 2)]):
        y = (np.array(targets())[known, column] - mean[column]) / std[column]
        theirs = lightgbm.LGBMRegressor(**THEIRS).fit(x[known], y)
        np.testing.assert_allclose(output[:, column], theirs.predict(x), rtol=1e-5, atol=1e-6)
    assert count_parameters(model) == 0


@pytest.mark.parametrize(
    ("loss", "theirs"),
    [
        (MSE(), {"objective": "regression"}),
        (MAE(), {"objective": "regression_l1"}),
        (Huber(0.3), {"objective": "huber", "alpha": 0.3}),
    ],
)
def test_trees_make_the_loss_small_that_networks_make_small(loss, theirs):
    skewed = [[float(i % 5) ** 4 + i] for i in range(len(SMILES))]
    data = graphs(skewed)
    model = FingerprintBoosting(
        out_channels=1, target_mean=[0.0], target_std=[1.0], loss=loss, **OURS
    )
    output = model.fit(data)(Batch.from_data_list(data))[:, 0]
    x, y = morgan_fingerprints(SMILES), np.array(skewed)[:, 0]
    other = lightgbm.LGBMRegressor(**THEIRS, **theirs).fit(x, y)
    np.testing.assert_allclose(output, other.predict(x), rtol=1e-5, atol=1e-5)


def test_validation_says_when_to_stop():
    """Targets of noise: the first trees already make validation worse."""
    noise = torch.randn(len(SMILES), 1, generator=torch.Generator().manual_seed(0)).tolist()
    data, held = graphs(noise[:24] + [[NAN]] * 8), graphs([[NAN]] * 24 + noise[24:])
    one = {"out_channels": 1, "target_mean": [0.0], "target_std": [1.0], "patience": 3}
    (whole,) = FingerprintBoosting(**one, **OURS).fit(data).estimators
    (stopped,) = FingerprintBoosting(**one, **OURS).fit(data, held).estimators
    assert whole.n_estimators_ == 40
    assert stopped.n_estimators_ < 40
    # Every tree of those on the way there was looked at: none is better than the last one kept.
    x, y = morgan_fingerprints(SMILES[24:]), np.array(noise[24:])[:, 0]
    errors = [
        np.square(whole.predict(x, num_iteration=k + 1) - y).mean()
        for k in range(stopped.best_iteration_ + 3)
    ]
    assert np.argmin(errors) + 1 == stopped.best_iteration_


def test_classes_are_lightgbms_probabilities():
    labels = [[float(len(s) > 5)] for s in SMILES]
    data = graphs(labels)
    model = FingerprintBoosting(out_channels=2, class_names=["short", "long"], **OURS).fit(data)
    theirs = lightgbm.LGBMClassifier(**THEIRS).fit(
        morgan_fingerprints(SMILES), [y for (y,) in labels]
    )
    said = model(Batch.from_data_list(data)).softmax(1).numpy()
    np.testing.assert_allclose(said, theirs.predict_proba(morgan_fingerprints(SMILES)), atol=1e-5)


@pytest.mark.parametrize("present", [(0, 2), (1,)])
def test_a_class_that_only_validation_has_is_left_out_there(present):
    names = ["a", "b", "c"]
    data = graphs([[float(present[i % len(present)])] for i in range(len(SMILES))])
    held = graphs([[float(i % 3)] for i in range(len(SMILES))])
    model = FingerprintBoosting(out_channels=3, class_names=names, **OURS).fit(data, held)
    said = model(Batch.from_data_list(data)).exp()
    absent = [c for c in range(3) if c not in present]
    assert said.isfinite().all()
    assert (said[:, absent] < 1e-5).all()


def test_without_lightgbm_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ImportError, match=r"pip install gia\[boosting\], or choose model=random_f"):
        FingerprintBoosting(out_channels=1, target_mean=[0.0], target_std=[1.0])


def test_weights_and_features_are_lightgbms_own():
    data = graphs(targets())
    weight = np.linspace(0.1, 3, len(SMILES))
    own = np.stack([np.arange(len(SMILES)) % 5, np.full(len(SMILES), NAN)], axis=1)
    for graph, w, numbers in zip(data, weight, own, strict=True):
        graph.weight = torch.tensor([w], dtype=torch.float32)
        graph.graph_features = torch.tensor(numbers[None], dtype=torch.float32)
    features = GraphFeatures(2, center=[2.0, 0.0], scale=[2.0, 0.0])
    scale = {"target_mean": [0.0, 0.0], "target_std": [1.0, 1.0]}
    model = FingerprintBoosting(out_channels=2, **scale, **OURS, features=features).fit(data)
    output = model(Batch.from_data_list(data))
    z = np.stack([(own[:, 0] - 2) / 2, np.zeros(len(SMILES))], axis=1)  # NaN counts as the mean
    x = np.concatenate([morgan_fingerprints(SMILES), z.astype(np.float32)], axis=1)
    for column, known in enumerate([slice(None), slice(None, None, 2)]):
        theirs = lightgbm.LGBMRegressor(**THEIRS)
        theirs.fit(x[known], np.array(targets())[known, column], weight[known].astype(np.float32))
        np.testing.assert_allclose(output[:, column], theirs.predict(x), rtol=1e-4, atol=1e-4)
    unweighted = lightgbm.LGBMRegressor(**THEIRS).fit(x, np.array(targets())[:, 0])
    assert np.abs(output[:, 0].numpy() - unweighted.predict(x)).max() > 0.01


def test_it_learns_of_features_alone_and_not_of_nothing():
    data = graphs([[float(i % 7)] for i in range(len(SMILES))])
    for i, graph in enumerate(data):
        graph.graph_features = torch.tensor([[float(i % 7)]])
    options = {"out_channels": 1, "target_mean": [3.0], "target_std": [2.0], **OURS, "size": 0}
    model = FingerprintBoosting(**options, features=GraphFeatures(1, center=[3.0], scale=[2.0]))
    batch = Batch.from_data_list(data)
    assert (model.fit(data)(batch) - (batch.y - 3) / 2).square().mean() < 0.2
    with pytest.raises(ValueError, match=r"size=0 leaves a booster nothing to read: give data"):
        FingerprintBoosting(**options)
    with pytest.raises(ValueError, match="a booster gives one number for each target"):
        FingerprintBoosting(out_channels=2, target_mean=[0.0], target_std=[1.0])


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        ([], lambda i: float(i % 7)),
        (["a", "b"], lambda i: float(i % 2)),
        (["a", "b", "c"], lambda i: float(i % 3)),
        (["a", "b"], lambda _: 1.0),  # a class that training lacks
    ],
)
def test_another_one_says_the_same_from_its_state(classes, labels, tmp_path):
    data = graphs([[labels(i)] for i in range(len(SMILES))])
    scale = {} if classes else {"target_mean": [3.0], "target_std": [2.0]}
    options = {"out_channels": len(classes) or 1, "class_names": classes, **scale, **OURS}
    model = FingerprintBoosting(**options).fit(data)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    other = FingerprintBoosting(**options)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    batch = Batch.from_data_list(data)
    torch.testing.assert_close(other(batch), model(batch))
    assert model(batch).std(0).max() > 0.1 or labels(0) == labels(1)
    again = FingerprintBoosting(**options)
    again.load_state_dict(other.state_dict())
    torch.testing.assert_close(again(batch), model(batch))
    with pytest.raises(RuntimeError, match="is not fitted"):
        FingerprintBoosting(**options)(batch)
