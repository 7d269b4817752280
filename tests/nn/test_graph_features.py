"""Features of whole graphs in a model: scaled, behind the pooled vector, in a checkpoint."""

import math

import pytest
import torch
from graph_data import MODELS, make, random_graphs, settled
from torch_geometric.data import Batch

from gia.nn import GraphFeatures, PredictionHead
from gia.nn.head import Readout

KNOWN = {"graph_channels": 3, "feature_center": [1.0, -2.0], "feature_scale": [2.0, 0.0]}
NAN, INF = float("nan"), float("inf")


def test_scaled_bounded_and_filled():
    features = GraphFeatures(4, center=[1.0, 100.0, 5.0], scale=[2.0, 10.0, 0.0])
    x = torch.tensor(
        [
            [3.0, 130.0, 5.0, 1.0],  # one and three spreads from the centre
            [NAN, INF, 9.0, 0.0],  # nothing known of the first two, the third was constant
            [1e30, -1e30, NAN, 1.0],
        ]
    )
    one, three = 1 / math.sqrt(1 + 1 / 9), 3 / math.sqrt(2)
    expected = torch.tensor([[one, three, 0, 1], [0, 0, 0, 0], [3, -3, 0, 1]])
    torch.testing.assert_close(features(x), expected)


def test_numbers_stay_in_single_precision():
    features = GraphFeatures(1, center=[300.03], scale=[0.01]).to(torch.bfloat16)
    expected = pytest.approx(1 / math.sqrt(1 + 1 / 9), abs=0.01)
    assert features(torch.tensor([[300.04]])).item() == expected
    other = GraphFeatures(1, center=[0.0], scale=[1.0])
    other.load_state_dict(features.state_dict())
    assert other(torch.tensor([[300.04]])).item() == expected


def test_some_are_left_out_in_training_alone():
    features = GraphFeatures(1000, center=[0.0] * 500, scale=[1.0] * 500, dropout=0.25)
    x = torch.ones(4, 1000)
    whole = features.eval()(x)
    assert (whole > 0).all()
    seen = features.train()(x)
    kept = seen != 0
    assert 0.7 < kept.float().mean() < 0.8
    assert not torch.equal(kept[0], kept[1])
    torch.testing.assert_close(seen[kept], whole[kept] / 0.75)


def test_what_does_not_fit_is_told():
    with pytest.raises(ValueError, match="2 features of a graph, but 3 centers and 3 scales"):
        GraphFeatures(2, [0.0] * 3, [1.0] * 3)
    with pytest.raises(ValueError, match="takes 2 features of a graph, the data has 0: give"):
        GraphFeatures(2)(None)
    with pytest.raises(ValueError, match="takes 2 features of a graph, the data has 3"):
        GraphFeatures(2)(torch.ones(1, 3))
    with pytest.raises(ValueError, match="with level='node' leave them out"):
        Readout(PredictionHead(4, 1, features=2), level="node", features=GraphFeatures(2))


@pytest.mark.parametrize("choice", [f"model={name}" for name in MODELS])
@pytest.mark.usefixtures("float64")
def test_every_model_reads_them(choice):
    """What comes out depends on a graph's own features, and on no others of its batch."""
    graphs = random_graphs(**KNOWN)
    model = settled(make(choice, **KNOWN), graphs)
    with torch.no_grad():
        before = model(Batch.from_data_list(graphs))
        for number, single in enumerate(graphs):
            torch.testing.assert_close(model(single)[0], before[number], rtol=1e-6, atol=1e-6)
        for column, counts in enumerate([True, False, True]):  # the second is constant
            graphs[2].graph_features[0, column] += 1
            after = model(Batch.from_data_list(graphs))
            changed = (after != before).any(1)
            assert changed.tolist() == [False, False, counts, False, False]
            before = after


@pytest.mark.parametrize("choice", ["model=graph_transformer", "model=pooled_mlp"])
def test_without_features_nothing_is_added(choice):
    model = make(choice)
    assert model.head.features is None
    assert not [name for name in model.state_dict() if "features.mean" in name]
    assert model.head.head[0].in_features == 16
    assert make(choice, **KNOWN).head.head[0].in_features == 19
