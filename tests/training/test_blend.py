"""Gradient boosting beside a network: fitted at once, averaged with it, in one checkpoint."""

import pytest
import torch
from runs import SMALL, compose_config, write_table

from gia.nn import Ensemble, FingerprintBoosting, FingerprintExtraTrees
from gia.training import FittedRun, Run, load_trained, run_of, trained_data
from gia.training.blend_weights import shares_by_validation
from gia.training.checkpoint import read_checkpoint
from gia.training.joined import join

pytest.importorskip("rdkit")
pytest.importorskip("lightgbm")
NETWORK = [*SMALL, "model=graph_transformer", "trainer.max_epochs=2", "data.rwse=4"]
BOOSTED = "blend=gradient_boosting"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "chains.csv"
    rows = [["C" * (i % 12 + 1) + "ON"[i % 2], i % 12, "ab"[i % 2]] for i in range(80)]
    write_table(path, ["smiles", "y", "c"], rows)
    return path


def config(folder, table, *overrides):
    data = ["data=molecules", f"data.path={table}", "data.smiles_column=smiles"]
    return compose_config(
        *data, "data.target_column=y", "data.split=random", f"run_dir={folder}", *overrides
    )


@pytest.fixture(scope="module")
def blended(table, tmp_path_factory):
    run = run_of(config(tmp_path_factory.mktemp("runs") / "a", table, *NETWORK, BOOSTED))
    return run, run.fit()


def said_by(path):
    task, cfg = load_trained(path)
    return task, task.predictions(trained_data(cfg).loader("test"))


def test_it_says_the_mean_of_the_network_and_of_boosting(blended, table, tmp_path):
    run, metrics = blended
    task, found = said_by(run.folder / "checkpoints" / "blend.ckpt")
    alone = []
    for name, settings in (("net", NETWORK), ("trees", ["model=gradient_boosting", "name=x"])):
        other = run_of(config(tmp_path / name, table, *settings, "callbacks.progress_bar=null"))
        assert type(other) is (Run if name == "net" else FittedRun)
        other.fit()
        _, said = said_by(tmp_path / name / "checkpoints" / "best.ckpt")
        alone.append(said.output)
    assert not torch.allclose(*alone)
    torch.testing.assert_close(found.output, torch.stack(alone).mean(0))
    torch.testing.assert_close(found.std, torch.stack(alone).std(0, correction=0))
    rmse = (found.output - found.target).square().mean().sqrt()
    assert metrics["test/rmse"] == pytest.approx(float(rmse), rel=1e-4)
    assert task.calibration is not None
    validation, *_ = run.trainer.validate(run.task, run.datamodule, verbose=False)
    found = task.predictions(run.datamodule.loader("val"))
    rmse = (found.output - found.target).square().mean().sqrt()
    assert validation["val/rmse"] == pytest.approx(float(rmse), rel=1e-4)


def test_it_says_the_mean_of_a_network_and_of_two_kinds_of_trees(table, tmp_path):
    settings = [*NETWORK, "blend=trees", "blend.extra_trees.num_trees=10"]
    run = run_of(config(tmp_path / "three", table, *settings, "loss=mae"))
    run.fit()
    task, found = said_by(run.folder / "checkpoints" / "blend.ckpt")
    network, *trees = task.model.members
    assert [type(one) for one in trees] == [FingerprintBoosting, FingerprintExtraTrees]
    assert trees[0].options["objective"] == "regression_l1"
    (batch,) = run.datamodule.loader("test")
    with torch.no_grad():
        each = torch.stack([member(batch) for member in (network, *trees)])[..., 0]
    assert each.std(0).min() > 0
    expected = task.scaler.inverse(each.mean(0)[:, None])
    torch.testing.assert_close(found.output.flatten(), expected.flatten(), rtol=1e-4, atol=1e-4)


def test_training_goes_on_from_the_network_alone(blended, table, tmp_path):
    run, _ = blended
    last = run.folder / "checkpoints" / "last.ckpt"
    assert not any(".members." in key for key in read_checkpoint(last)["state_dict"])
    done = run_of(config(tmp_path / "c", table, *NETWORK, BOOSTED, f"ckpt_path={last}"))
    done.fit()  # which was done before it began
    assert len(load_trained(done.folder / "checkpoints/blend.ckpt")[0].model.members) == 2
    assert not any(".members." in key for key in read_checkpoint(last)["state_dict"])
    more = ["trainer.max_epochs=3", f"ckpt_path={last}"]
    again = run_of(config(tmp_path / "b", table, *NETWORK, BOOSTED, *more))
    again.fit()
    assert again.epochs == 3
    assert len(again.task.model.members) == 2


def test_members_of_an_ensemble_have_one_each(table, tmp_path):
    run = run_of(config(tmp_path / "five", table, *NETWORK, BOOSTED, "ensemble=2"))
    run.fit()
    joined, found = said_by(run.folder / "checkpoints" / "best.ckpt")
    assert [type(one).__name__ for one in joined.model.members] == [
        *("GraphTransformer", "FingerprintBoosting"),
        *("GraphTransformer", "FingerprintBoosting"),
    ]
    each = [said_by(tmp_path / f"five/members/{k}/checkpoints/blend.ckpt")[1] for k in range(2)]
    torch.testing.assert_close(found.output, torch.stack([one.output for one in each]).mean(0))
    seeds = [one["seed"] for one in run.task.hparams["settings"]["model"]["models"][1::2]]
    assert seeds == [0, 1]


def test_probabilities_of_classes_are_averaged(table, tmp_path):
    settings = [*NETWORK, BOOSTED, "task=classification", "data.target_column=c"]
    run = run_of(config(tmp_path / "c", table, *settings))
    run.fit()
    task, _ = load_trained(run.folder / "checkpoints" / "blend.ckpt")
    (batch,) = run.datamodule.loader("test")
    each = torch.stack([one(batch).softmax(1) for one in run.task.model.eval().members])
    said = task.output(batch)[:, 0].softmax(1)
    torch.testing.assert_close(said, each.mean(0), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(*each, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model=random_forest"], "this model is fitted at once itself"),
        (["loss=gaussian"], "a booster gives one number for each target: use loss=mse"),
        (["task=masked"], "blend= is of predictions of whole graphs"),
        (
            ["blend=extra_trees", "blend._target_=gia.nn.FingerprintForest"],
            "is kept in no checkpoint",
        ),
    ],
)
def test_what_it_cannot_stand_beside_is_told_before_training(settings, message, table, tmp_path):
    network = [] if "model" in settings[0] else NETWORK
    with pytest.raises(Exception, match=message):
        run_of(config(tmp_path / "x", table, *network, "name=test", BOOSTED, *settings))


def test_what_is_no_molecule_is_told_before_training(tmp_path):
    path = tmp_path / "peptides.csv"
    rows = [f"{'AKWC'[i % 4] * (i % 9 + 3)},{i}" for i in range(60)]
    path.write_text("\n".join(["sequence,y", *rows]))
    data = [f"data.path={path}", "data.sequence_column=sequence", "data.target_column=y"]
    settings = [*NETWORK, "data=labelled_csv", *data, "data.split=random", BOOSTED]
    run = run_of(compose_config(*settings, "fingerprint_kmer=null", f"run_dir={tmp_path}/x"))
    with pytest.raises(ValueError, match="SMILES"):
        run.fit()
    assert not (run.folder / "checkpoints").exists()
    written = run.folder / "config.yaml"
    assert written.is_file()
    # K-mers, which sequences have by default, and features of them alone are another matter.
    assert run_of(compose_config(*settings, f"run_dir={tmp_path}/z")).fit()["test/rmse"] > 0
    alone = [*settings, "blend.size=0", "data.features=peptide", f"run_dir={tmp_path}/y"]
    pytest.importorskip("Bio")
    assert run_of(compose_config(*alone)).fit()["test/rmse"] > 0


@pytest.fixture(scope="module")
def long_table(tmp_path_factory):
    """A number that trees see at once, and a network of two epochs does not."""
    path = tmp_path_factory.mktemp("table") / "long.csv"
    rows = [["C" * (i % 40 + 1) + "ONS"[i % 3], (i % 40) ** 2] for i in range(240)]
    write_table(path, ["smiles", "y"], rows)
    return path


def test_members_count_as_they_do_on_validation(long_table, tmp_path, capsys):
    weighed = [*NETWORK, "blend=trees", "blend_weights=validation"]
    run = run_of(config(tmp_path / "a", long_table, *weighed))
    metrics = run.fit()
    counts = run.task.model.counts
    assert sum(counts) == 12
    assert counts[0] < 2  # the network's
    told = f"blend, by validation: the network {counts[0] / 12:.0%}, the booster"
    assert told in capsys.readouterr().out
    path = tmp_path / "a" / "checkpoints" / "blend.ckpt"
    task, found = said_by(path)
    assert task.model.counts == counts
    run.task.train()  # without dropout nevertheless
    assert shares_by_validation(run.task, run.datamodule) == counts
    assert run.task.training
    error = (found.output - found.target).square().mean().sqrt()
    assert error.item() == pytest.approx(metrics["test/rmse"], rel=1e-3)
    plain = run_of(config(tmp_path / "b", long_table, *NETWORK, "blend=trees"))
    assert plain.fit()["test/rmse"] > metrics["test/rmse"]
    join([path, path], tmp_path / "joined.ckpt")
    both, _ = said_by(tmp_path / "joined.ckpt")
    assert both.model.counts == [*counts, *counts]


def test_few_graphs_say_nothing_of_weights(table, tmp_path):
    run = run_of(config(tmp_path / "a", table, *NETWORK, BOOSTED, "blend_weights=validation"))
    run.fit()
    assert run.task.model.counts == [6, 6]
    with pytest.raises(ValueError, match="blend_weights must be validation or null, got 'best'"):
        run_of(config(tmp_path / "b", table, *NETWORK, BOOSTED, "blend_weights=best"))


def test_members_that_count_nothing_are_not_asked():
    class Fails(torch.nn.Module):
        def forward(self, data):
            raise AssertionError("it was asked")

    one = torch.nn.Identity()
    found = Ensemble([one, Fails(), torch.nn.Tanh()], counts=[2, 0, 1])(torch.ones(3))
    assert found.shape == (3, 3)
    assert found[0].tolist() == found[1].tolist() == [1, 1, 1]
    for counts in ([1, 1], [0, 0, 0], [1, -1, 1]):
        with pytest.raises(ValueError, match="an ensemble of 3 needs as many counts"):
            Ensemble([one, one, one], counts=counts)
