"""Every configuration composes and instantiates."""

import sys

import pytest
import torch
from bases import tiny_base
from conftest import ROOT
from graph_data import INPUTS as GRAPH_INPUTS
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from runs import compose_config

from gia.adapters import PretrainedLM
from gia.data import DataModule
from gia.nn import LanguageModel, count_parameters
from gia.training import load_trained, resolve_model
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
    "data=instruct": ["data.path=x.jsonl"],
    "data=composition": ["data.path=x.csv", "data.target_column=y"],
    "data=crystals": ["data.path=x.csv", "data.target_column=y"],
    "data=protein_structures": ["data.path=x", "data.target_column=y"],
    "data=residues": ["data.path=x.fasta", "data.labels_path=y.fasta"],
    # What reads the edges of the data, which sequences do not have.
    "given=messages": ["data=melting_point"],
    # Losses of classes and of numbers.
    **{f"loss={name}": ["data=bbbp"] for name in ("cross_entropy", "focal")},
    **{
        f"loss={name}": ["data=melting_point"]
        for name in ("gaussian", "huber", "mae", "mse", "quantile")
    },
    "task=regression": ["data=melting_point"],
    "task=classification": ["data=bbbp"],
    "task=masked": ["data=melting_point"],
}
NEEDS |= {
    f"model={path.stem}": ["data=melting_point"]
    for path in (CONF / "model").glob("[a-z]*.yaml")
    if path.stem not in ("language_model", "pretrained")
}
NEEDS["model=chemprop"] += [f"model.command={sys.executable}"]  # any program will do
# BASE is a pretrained model.
PRETRAINED = ["model.base=BASE", "data.max_length=64"]
OF_PROMPTS = ["data=instruct", "data.path=x.jsonl"]
NEEDS |= {
    f"adapter={path.stem}": [*OF_PROMPTS, *PRETRAINED] for path in CONF.glob("adapter/[a-z]*")
}
NEEDS |= {
    f"experiment={path.stem}": PRETRAINED
    for adapter in ("lora", "sparse_gin")
    for path in CONF.glob(f"experiment/*_{adapter}.yaml")
}
NEEDS |= {"model=pretrained": ["adapter=lora", *OF_PROMPTS, *PRETRAINED]}
NEEDS |= {"tokenizer=bpe": OF_PROMPTS}
NEEDS |= {"tokenizer=pretrained": NEEDS["model=pretrained"]}
# Models that are fitted at once, or not at all.
AT_ONCE = ("adapter=none", "model=chemprop")
AT_ONCE += ("model=random_forest", "model=extra_trees", "model=gradient_boosting")
# What language models and models of graphs must know of their data.
INPUTS = {**GRAPH_INPUTS, "vocab_size": 24}
CLASSES = {"class_names": ["no", "yes"], "target_names": ["y"], "class_counts": [[5, 3]]}
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


def comes_back_from_its_checkpoint(task, path, trust=None):
    """Nothing that a configuration of the package names is refused but the data sets of others."""
    state = task.state_dict()
    torch.save({"hyper_parameters": dict(task.hparams), "state_dict": state}, path)
    loaded, _ = load_trained(path, trust=trust)
    assert type(loaded) is type(task)
    assert loaded.state_dict().keys() == state.keys()
    assert all(torch.equal(state[key], value) for key, value in loaded.state_dict().items())


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("choice", ALL)
def test_option_instantiates(choice, base, tmp_path):
    needs = [setting.replace("BASE", str(base)) for setting in NEEDS.get(choice, [])]
    cfg = compose_config("name=test", f"run_dir={tmp_path}", choice, *needs)
    datamodule = instantiate(cfg.data)
    assert isinstance(datamodule, DataModule)
    reads_sequences = datamodule.target_type == "next_token"
    if cfg.model.get("match_parameters_of") and not (cfg.mlp or {}).get("hidden"):
        cfg.model.match_parameters_of = None
    inputs = INPUTS | (CLASSES if cfg.data.get("target_type") == "classification" else {})
    if choice in AT_ONCE:  # which give one number for the one target
        inputs = inputs | {"out_channels": 1}
    model_cfg = resolve_model(cfg, inputs)
    model = instantiate(model_cfg)
    assert reads_sequences == isinstance(model, LanguageModel | PretrainedLM)
    cfg = with_inputs(cfg, inputs)
    task = instantiate(cfg.task)(
        model,
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
        settings={**OmegaConf.to_container(cfg, resolve=True), "model": model_cfg},
    )
    foreign = "torch_geometric.datasets.FakeDataset" if choice == "data=pyg" else None
    comes_back_from_its_checkpoint(task, tmp_path / "x.ckpt", trust=foreign)
    trainer = instantiate(
        cfg.trainer,
        callbacks=[instantiate(callback) for callback in cfg.callbacks.values()],
        logger=[instantiate(logger) for logger in cfg.logger.values()],
    )
    assert trainer.max_epochs == cfg.trainer.max_epochs
    if choice in AT_ONCE:
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
    known = "one of gin, pna, pna_token, pyg, softmax or null"
    with pytest.raises(ValueError, match=f"{known}, got 'transformer'"):
        resolve_model(cfg, INPUTS)
    cfg = compose_config(*COMMON, "mlp=linear")
    with pytest.raises(ValueError, match="this MLP has none: use mlp=swiglu or mlp=shallow"):
        resolve_model(cfg, INPUTS)


def test_options_reach_the_model():
    cfg = compose_config(
        *COMMON,
        "attention.out_proj=true",
        "normalize.temperature=0.5",
        "model.depth=3",
    )
    model = instantiate(resolve_model(cfg, INPUTS))
    assert len(model.blocks) == 3
    attention = model.blocks[2].attention
    assert isinstance(attention.out, torch.nn.Linear)
    assert attention.adjacency.normalize.temperature == 0.5


@pytest.mark.parametrize("attention", ["gin", "pna", "softmax"])
def test_attention_starts_where_its_model_says(attention):
    cfg = compose_config(*COMMON, "data=melting_point", f"attention={attention}")
    model = resolve_model(cfg, INPUTS)
    assert "attention_defaults" not in model
    found = model["block"]["attention"]
    starts = {"eps": 0.0, "multiplier": 2.0, "norm": False, "out_proj": True}
    shared = {"gin": starts.keys(), "pna": {"multiplier"}, "softmax": set()}[attention]
    assert {key: found[key] for key in shared} == {key: starts[key] for key in shared}
    assert starts.keys() & found.keys() == shared
    language = resolve_model(compose_config(*COMMON), INPUTS)["block"]["attention"]
    assert (language["eps"], language["multiplier"], language["norm"]) == (-1.0, 0.5, True)


def test_an_option_stands_in_one_place():
    """Where the model refers to a group, an option of the group is no option of the model."""
    cfg = compose_config(*COMMON, "attention.multiplier=2", "sparsify=top_k", "sparsify.k=7")
    attention = resolve_model(cfg, INPUTS)["block"]["attention"]
    assert attention["multiplier"] == 2
    assert attention["adjacency"]["sparsify"]["k"] == 7
    with pytest.raises(ConfigCompositionException, match=r"model\.block\.mlp\.hidden"):
        compose_config(*COMMON, "model.block.mlp.hidden=3")


@pytest.mark.parametrize(
    ("choice", "continuable"),
    [("scope=causal", True), ("scope=window", False), ("attention=pyg", False)],
)
def test_a_configured_scope_says_whether_a_cache_continues(choice, continuable):
    cfg = compose_config(*COMMON, choice)
    assert "hydra" not in str(cfg.scope)
    assert instantiate(resolve_model(cfg, INPUTS)).continuable == continuable


def test_attention_over_molecules_alone_begins_along_the_bonds():
    for data, slope in (("esol", 4), ("melting_point", 4), ("tu_proteins", 0)):
        cfg = compose_config(f"data={data}", "model=graph_transformer")
        assert cfg.score.biases[1].slope == slope
    assert compose_config("data=esol", "hop_slope=1").score.biases[1].slope == 1
