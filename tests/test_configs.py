"""Every configuration composes and instantiates."""

import pytest
import torch
from conftest import ROOT
from graph_data import INPUTS as GRAPH_INPUTS
from hydra.utils import instantiate
from runs import compose_config

from gia.data import DataModule
from gia.nn import LanguageModel, count_parameters
from gia.training import resolve_model
from gia.training.build import with_inputs

CONF = ROOT / "conf"
# What a group's option needs beyond itself, because only the user can know it.
NEEDS = {
    "data=fasta": ["data.path=x.fasta"],
    "data=csv": ["data.path=x.csv", "data.sequence_column=s"],
    "data=text": ["data.path=x.txt"],
    "data=tu": ["data.name=MUTAG"],
    "data=pyg": ["data.dataset._target_=torch_geometric.datasets.FakeDataset"],
    "data=molecules": [
        "data.path=x.csv",
        "data.smiles_column=s",
        "data.target_column=y",
    ],
    "data=labelled_csv": [
        "data.path=x.csv",
        "data.sequence_column=s",
        "data.target_column=y",
    ],
    # What reads the edges of the data, which sequences do not have.
    "given=messages": ["data=melting_point"],
    "task=regression": ["data=melting_point"],
    "task=classification": ["data=bbbp"],
}
NEEDS |= {
    f"model={path.stem}": ["data=melting_point"]
    for path in (CONF / "model").glob("[a-z]*.yaml")
    if path.stem != "language_model"
}
# What language models and models of graphs must know of their data.
INPUTS = {**GRAPH_INPUTS, "vocab_size": 24}
CLASSES = {"class_names": ["no", "yes"], "target_names": ["y"]}
COMMON = ["name=test", "run_dir=unused"]


def options(group):
    return sorted(p.stem for p in (CONF / group).glob("*.yaml") if not p.stem.startswith("_"))


# A plan is no part of a run: tests/duel composes every one.
OTHERS = ("plan", "__pycache__")
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir() and p.name not in OTHERS)
ALL = [f"{group}={option}" for group in GROUPS for option in options(group)]


def test_every_group_has_options():
    assert len(ALL) > 20
    assert all(options(group) for group in GROUPS)


@pytest.mark.parametrize("choice", ALL)
def test_option_instantiates(choice, tmp_path):
    cfg = compose_config("name=test", f"run_dir={tmp_path}", choice, *NEEDS.get(choice, []))
    datamodule = instantiate(cfg.data)
    assert isinstance(datamodule, DataModule)
    reads_sequences = datamodule.target_type == "next_token"
    if cfg.model.get("match_parameters_of") and not (cfg.model.block.mlp or {}).get("hidden"):
        cfg.model.match_parameters_of = None
    inputs = INPUTS | (CLASSES if cfg.data.get("target_type") == "classification" else {})
    model = instantiate(resolve_model(cfg, inputs))
    assert reads_sequences == isinstance(model, LanguageModel)
    task = instantiate(with_inputs(cfg, inputs).task)(
        model,
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
    )
    trainer = instantiate(
        cfg.trainer,
        callbacks=[instantiate(callback) for callback in cfg.callbacks.values()],
        logger=[instantiate(logger) for logger in cfg.logger.values()],
    )
    assert trainer.max_epochs == cfg.trainer.max_epochs
    if choice == "model=random_forest":  # it is fitted at once
        assert count_parameters(model) == 0
        return
    optimizer = task.make_optimizer(task.model.parameters())
    assert task.make_scheduler(optimizer, total_steps=10).get_last_lr()[0] > 0


@pytest.mark.parametrize("mlp", ["swiglu", "shallow"])
@pytest.mark.parametrize("attention", options("attention"))
def test_variants_have_as_many_parameters_as_the_reference(attention, mlp):
    """Within 1 %, measured on the models themselves."""
    plain = compose_config(
        *COMMON, f"mlp={mlp}", "attention=softmax", "model.match_parameters_of=null"
    )
    target = count_parameters(instantiate(resolve_model(plain, INPUTS)))
    cfg = compose_config(
        *COMMON, f"mlp={mlp}", f"attention={attention}", "model.match_parameters_of=softmax"
    )
    matched = count_parameters(instantiate(resolve_model(cfg, INPUTS)))
    assert abs(matched - target) <= 0.01 * target


def test_any_attention_can_be_the_reference():
    pna = compose_config(*COMMON, "attention=pna", "model.match_parameters_of=null")
    target = count_parameters(instantiate(resolve_model(pna, INPUTS)))
    cfg = compose_config(*COMMON, "attention=gin", "model.match_parameters_of=pna")
    matched = count_parameters(instantiate(resolve_model(cfg, INPUTS)))
    assert abs(matched - target) <= 0.01 * target


def test_bad_references_are_named():
    cfg = compose_config(*COMMON, "model.match_parameters_of=transformer")
    known = "one of gin, pna, pna_token, softmax or null"
    with pytest.raises(ValueError, match=f"{known}, got 'transformer'"):
        resolve_model(cfg, INPUTS)
    cfg = compose_config(*COMMON, "mlp=linear")
    with pytest.raises(ValueError, match="this MLP has none: use mlp=swiglu or mlp=shallow"):
        resolve_model(cfg, INPUTS)


def test_options_reach_the_model():
    cfg = compose_config(
        *COMMON,
        "model.block.attention.out_proj=true",
        "model.block.attention.adjacency.normalize.temperature=0.5",
        "model.depth=3",
    )
    model = instantiate(resolve_model(cfg, INPUTS))
    assert len(model.blocks) == 3
    attention = model.blocks[2].attention
    assert isinstance(attention.out, torch.nn.Linear)
    assert attention.adjacency.normalize.temperature == 0.5
