"""The forest answers as every model does: scikit-learn's predictions, in the task's units."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from torch_geometric.data import Batch, Data

from gia.data import join_components
from gia.data.datasets.molecules import to_graph
from gia.data.fingerprints import kmer_counts, morgan_fingerprints
from gia.nn import FingerprintExtraTrees, FingerprintForest, GraphFeatures, count_parameters

pytest.importorskip("rdkit")
SMILES = ["C" * n + end for n in range(1, 9) for end in ("O", "N", "Cl", "c1ccccc1")]
NAN = float("nan")


def graphs(targets):
    y = torch.tensor(targets, dtype=torch.float32)
    parts = {"x": torch.zeros(3, 1), "edge_index": torch.zeros(2, 0, dtype=torch.long)}
    return [Data(**parts, y=row[None], text=s) for s, row in zip(SMILES, y, strict=True)]


def targets():
    """A number that grows with the chain, and another of which half is missing."""
    return [[float(len(s)), NAN if i % 2 else 10.0 * i] for i, s in enumerate(SMILES)]


def test_numbers_are_scikit_learns_normalised_and_masked():
    data, mean, std = graphs(targets()), [5.0, 100.0], [2.0, 50.0]
    forest = FingerprintForest(
        out_channels=2, target_mean=mean, target_std=std, num_trees=20, seed=3
    ).fit(data)
    output = forest(Batch.from_data_list(data))
    assert output.shape == (32, 2)
    assert output.dtype == torch.float32
    x = morgan_fingerprints(SMILES)
    for column, known in enumerate([slice(None), slice(None, None, 2)]):
        y = (np.array(targets())[known, column] - mean[column]) / std[column]
        theirs = RandomForestRegressor(20, max_features=0.33, random_state=3).fit(x[known], y)
        np.testing.assert_allclose(output[:, column], theirs.predict(x), rtol=1e-5, atol=1e-6)


def test_classes_are_scikit_learns_probabilities():
    labels = [[float(len(s) > 5)] for s in SMILES]
    data = graphs(labels)
    forest = FingerprintForest(
        out_channels=2, class_names=["short", "long"], num_trees=20, max_features="sqrt"
    ).fit(data)
    said = forest(Batch.from_data_list(data)).softmax(1)
    x, y = morgan_fingerprints(SMILES), np.array(labels)[:, 0]
    theirs = RandomForestClassifier(20, max_features="sqrt", random_state=0).fit(x, y)
    np.testing.assert_allclose(said.numpy(), theirs.predict_proba(x), atol=1e-5)


@pytest.mark.parametrize("names", [(), ["short", "middle", "long"]])
def test_extra_trees_are_scikit_learns_before_and_after_they_are_kept(names):
    data = graphs([[float(len(s) % 3 if names else len(s))] for s in SMILES])
    known = {"class_names": names} if names else {"target_mean": [5.0], "target_std": [2.0]}
    options = {"out_channels": len(names) or 1, **known, "num_trees": 20, "max_features": 0.5}
    forest = FingerprintExtraTrees(**options, seed=3).fit(data)
    said = forest(Batch.from_data_list(data[::-1]))
    kind = ExtraTreesClassifier if names else ExtraTreesRegressor
    x, y = morgan_fingerprints(SMILES), torch.cat([graph.y for graph in data])[:, 0].numpy()
    theirs = kind(20, max_features=0.5, random_state=3).fit(x, y if names else (y - 5) / 2)
    expected = theirs.predict_proba(x) if names else theirs.predict(x)[:, None]
    found = said.exp().clamp(min=0) if names else said
    np.testing.assert_allclose(found.numpy()[::-1], expected, rtol=1e-5, atol=2e-6)
    other = FingerprintExtraTrees(**options)
    other.load_state_dict(forest.state_dict())
    torch.testing.assert_close(other(Batch.from_data_list(data[::-1])), said)
    assert torch.equal(other.state_dict()["_extra_state"], forest.state_dict()["_extra_state"])


def test_a_class_absent_from_training_has_no_chance_and_no_infinity():
    labels = [[float(2 * (len(s) > 5))] for s in SMILES]  # none of class 1
    forest = FingerprintForest(out_channels=3, class_names=["a", "b", "c"], num_trees=5)
    output = forest.fit(graphs(labels))(Batch.from_data_list(graphs(labels)))
    assert output.isfinite().all()
    assert (output.softmax(1)[:, 1] < 1e-5).all()


def test_each_target_has_its_classes():
    labels = [[float(len(s) > 5), float(i % 3)] for i, s in enumerate(SMILES)]
    data = graphs(labels)
    forest = FingerprintForest(
        out_channels=5, class_names=[["short", "long"], ["a", "b", "c"]], num_trees=5
    ).fit(data)
    output = forest(Batch.from_data_list(data))
    assert output.shape == (len(SMILES), 5)
    for columns in (slice(0, 2), slice(2, 5)):
        torch.testing.assert_close(
            output[:, columns].exp().sum(1), torch.ones(len(SMILES)), atol=1e-4, rtol=0
        )


def test_a_molecule_does_not_depend_on_its_batch():
    data = graphs(targets())
    forest = FingerprintForest(
        out_channels=2, target_mean=[0.0, 0.0], target_std=[1.0, 1.0], num_trees=5
    ).fit(data)
    together = forest(Batch.from_data_list(data))
    assert torch.equal(forest(Batch.from_data_list(data[7:8])), together[7:8])
    assert torch.equal(forest(data[7]), together[7:8])


def test_it_has_no_parameters_and_says_when_it_cannot_answer():
    with pytest.raises(ValueError, match="one number for each target: use loss=mse, mae or huber"):
        FingerprintForest(out_channels=2, target_mean=[0.0], target_std=[1.0])
    forest = FingerprintForest(out_channels=1, target_mean=[0.0], target_std=[1.0])
    assert count_parameters(forest) == 0
    data = graphs([[NAN]] * len(SMILES))
    with pytest.raises(RuntimeError, match="the random forest is not fitted"):
        forest(data[0])
    with pytest.raises(ValueError, match="target 0 is known of none of 32 molecules"):
        forest.fit(data)


def test_features_stand_behind_the_fingerprints():
    """They alone know the target here, which no fingerprint can tell."""
    data = graphs([[float(i % 7)] for i in range(len(SMILES))])
    for i, graph in enumerate(data):
        graph.graph_features = torch.tensor([[float(i % 7), NAN]])
    known = {"center": [3.0, 0.0], "scale": [2.0, 0.0]}
    options = {"out_channels": 1, "target_mean": [3.0], "target_std": [2.0], "num_trees": 20}
    batch = Batch.from_data_list(data)
    for size in (2048, 0):
        forest = FingerprintForest(**options, size=size, features=GraphFeatures(2, **known))
        error = (forest.fit(data)(batch) - (batch.y - 3) / 2).square().mean()
        assert forest.estimators[0].n_features_in_ == size + 2
        assert error < 0.05
    assert (FingerprintForest(**options).fit(data)(batch) - (batch.y - 3) / 2).square().mean() > 0.1
    with pytest.raises(ValueError, match=r"model.size=0 leaves .* nothing to read: give data.feat"):
        FingerprintForest(**options, size=0)


def test_each_molecule_of_a_row_has_its_own_fingerprint():
    pairs = [(a, b) for a in ("CCO", "c1ccccc1", "CC(=O)O", "CCN") for b in ("O", "CCCC", "CCl")]
    rows = []
    for number, pair in enumerate(pairs):
        graph = join_components(list(map(to_graph, pair)))
        graph.y = torch.tensor([[float(number % 3)]])  # by the second alone
        rows.append(graph)
    forest = FingerprintForest(
        out_channels=1,
        target_mean=[0.0],
        target_std=[1.0],
        num_trees=20,
        size=64,
        max_features=None,
    ).fit(rows)
    said = forest(Batch.from_data_list(rows))[:, 0]
    assert (said - torch.cat([graph.y[:, 0] for graph in rows])).abs().max() < 0.4
    assert forest.estimators[0].feature_importances_[:64].sum() < 0.1
    rows[0].text = "CCO ACDK"
    with pytest.raises(ValueError, match="'ACDK' is no SMILES"):
        forest(Batch.from_data_list(rows))


def sequences(targets):
    """Sequences with targets, of which only k-mers know something."""
    letters = ["AC", "CA", "KW", "WK"]  # the same letters in another order
    graphs = []
    for i, y in enumerate(targets):
        text = letters[i % 4] * (4 + i % 5)
        edge_index = torch.zeros(2, 0, dtype=torch.long)
        y = torch.tensor([[float(y)]])
        graphs.append(Data(edge_index=edge_index, y=y, text=text, num_nodes=len(text)))
    return graphs


def test_k_mers_are_the_fingerprints_of_sequences():
    data = sequences([i % 4 < 2 for i in range(40)])
    options = {"out_channels": 2, "class_names": ["no", "yes"], "num_trees": 20, "size": 256}
    forest = FingerprintForest(**options, kmer=2).fit(data)
    said = forest(Batch.from_data_list(data)).softmax(1)
    x, y = kmer_counts([graph.text for graph in data], kmer=2, size=256), [g.y.item() for g in data]
    theirs = RandomForestClassifier(20, max_features=0.33, random_state=0).fit(x, y)
    np.testing.assert_allclose(said.numpy(), theirs.predict_proba(x), atol=1e-5)
    assert (said.argmax(1) == torch.tensor(y)).all()
    with pytest.raises(ValueError, match="is no SMILES"):
        FingerprintForest(**options).fit(data)


def test_targets_of_nodes_are_named():
    data = sequences([0.0] * 4)
    for graph in data:
        graph.y = graph.y.expand(graph.num_nodes, 1)
    forest = FingerprintForest(out_channels=1, target_mean=[0.0], target_std=[1.0], kmer=2)
    with pytest.raises(ValueError, match="a random forest predicts whole graphs, and"):
        forest.fit(data)


def test_numbers_are_learned_as_they_are_where_no_scale_is_given():
    data = graphs([[float(len(s))] for s in SMILES])
    said = FingerprintExtraTrees(out_channels=1, num_trees=3).fit(data)(Data(text=SMILES))
    assert torch.equal(said[:, 0], torch.tensor([float(len(s)) for s in SMILES]))


@pytest.mark.parametrize("learner", [FingerprintForest, FingerprintExtraTrees])
def test_classes_count_as_they_are_told(learner):
    data = graphs([[float(i % 4 == 0)] for i in range(len(SMILES))])
    options = {"out_channels": 2, "class_names": ["many", "few"], "num_trees": 10}
    options |= {"min_samples_leaf": 5, "size": 64}
    weights = torch.tensor([[0.5, 3.0]])
    found = learner(**options).fit(data, class_weights=weights)
    batch = Batch.from_data_list(data)
    plain = learner(**options).fit(data)(batch)
    shifted = (plain + weights.log()).softmax(1)
    assert torch.allclose(found(batch).exp(), shifted, atol=1e-4)
    assert not torch.allclose(found(batch).exp(), plain.exp(), atol=0.1)
    if learner is FingerprintExtraTrees:
        again = learner(**options)
        again.set_extra_state(found.get_extra_state())
        assert torch.equal(again(batch), found(batch))
