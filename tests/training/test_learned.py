"""What a run keeps of what its adapter learns."""

import pytest
import torch
from bases import base_and_sums, of_sums
from runs import EVERY_CHECKPOINT, compose_config, read_table

from gia import adapters
from gia.training import Learned, Run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return base_and_sums(tmp_path_factory.mktemp("learned"))


def trained(place, name, *more, ckpt_path=None):
    """A run of two validations and the callback that watched it."""
    settings = [
        *of_sums(place), "trainer.max_epochs=2", "trainer.limit_train_batches=4",
        "trainer.accelerator=cpu", "optimizer.lr=3e-3", "logger.csv=null",
        "callbacks.samples=null", f"run_dir={place / name}", *more,
    ]  # fmt: skip
    run = Run.from_config(compose_config(*settings))
    run.trainer.fit(run.task, run.datamodule, ckpt_path=ckpt_path, weights_only=True)
    return run, next((one for one in run.trainer.callbacks if isinstance(one, Learned)), None)


def test_g_of_graph_lora_by_layer_place_and_step(place):
    run, watched = trained(place, "graph_lora", "adapter=graph_lora")
    rows = read_table(place / "graph_lora" / "learned.csv")
    assert [list(row.values())[:4] for row in rows] == [
        [str(row["step"]), str(row["layer"]), row["site"], row["name"]] for row in watched.values
    ]
    assert {row["step"] for row in rows} == {"4", "8"}
    last = {(row["layer"], row["site"]): row for row in rows if row["step"] == "8"}
    assert {site for layer, site in last if layer == "1"} > {"self_attn.q_proj", "mlp.down_proj"}
    assert not any(site == "self_attn.q_proj" for layer, site in last if layer == "0")
    for key, value in adapters.learned(run.task.model.lm).items():
        layer, _, site = key.removesuffix(".g").partition(".")
        assert float(last[layer, site]["mean_abs"]) == pytest.approx(
            float(value.abs().mean()), rel=1e-4
        )
    assert (place / "graph_lora" / "learned.png").stat().st_size > 5000
    edges = read_table(place / "graph_lora" / "edges.csv")
    assert [(row["step"], row["layer"]) for row in edges] == [
        (step, layer) for step in ("4", "8") for layer in ("0", "1")
    ]
    for row in edges:  # without the diagonal and the first token, as its edges are by default
        assert float(row["self"]) == float(row["first"]) == 0
        assert 0 < float(row["kept"]) < 1
        assert float(row["distance"]) >= 1


def test_sparse_gin_in_some_layers(place):
    trained(place, "sparse_gin", "adapter=sparse_gin", "+adapter.layers=[1]", "+adapter.top_k=2")
    rows = read_table(place / "sparse_gin" / "learned.csv")
    assert {row["layer"] for row in rows} == {"1"}
    assert {"gate", "eps"} <= {row["name"] for row in rows}
    edges = read_table(place / "sparse_gin" / "edges.csv")
    assert {row["layer"] for row in edges} == {"1"}
    assert all(float(row["edges"]) <= 2 for row in edges)


def test_without_messages_there_is_nothing_to_tell(place):
    trained(place, "none", "adapter=graph_lora", "+adapter.edges=null")
    assert not list((place / "none").glob("learned*"))
    assert not (place / "none" / "edges.csv").exists()


def test_it_changes_nothing_and_a_resumed_run_has_it_all(place):
    whole, _ = trained(place, "whole", "adapter=graph_lora", *EVERY_CHECKPOINT)
    plain, nobody = trained(place, "plain", "adapter=graph_lora", "callbacks.learned=null")
    assert nobody is None
    for name, value in plain.task.state_dict().items():
        assert torch.equal(value, whole.task.state_dict()[name]), name
    first = place / "whole" / "checkpoints" / "epoch0.ckpt"
    trained(place, "rest", "adapter=graph_lora", ckpt_path=first)
    for name in ("learned.csv", "edges.csv"):
        assert (place / "rest" / name).read_text() == (place / "whole" / name).read_text()


def test_a_number_out_of_range_is_named():
    with pytest.raises(ValueError, match=r"callbacks\.learned\.number must be at least 0, got -1"):
        Learned(-1)
