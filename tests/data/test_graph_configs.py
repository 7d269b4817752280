"""The configurations of graphs reach their datamodules."""

import pytest
from conftest import ROOT
from hydra.utils import instantiate
from omegaconf import OmegaConf
from runs import compose_config

from gia.data import DataModule

CONF = ROOT / "conf" / "data"
NEEDS = {
    "molecules": ["data.path=x", "data.smiles_column=s", "data.target_column=[a,b]"],
    "tu": ["data.name=ENZYMES"],
    "pyg": ["data.dataset._target_=torch_geometric.datasets.FakeDataset"],
    "labelled_csv": ["data.path=x", "data.sequence_column=s", "data.target_column=t"],
    "residues": ["data.path=x", "data.labels_path=y", "data.tokens_per_batch=null"],
    "protein_structures": ["data.path=x", "data.target_column=t", "data.tokens_per_batch=null"],
    "composition": ["data.path=x", "data.target_column=t"],
    "crystals": ["data.path=x", "data.target_column=t"],
}
# Whatever model and task the data chooses, its module is the same.
MODEL = ["model=language_model", "task=language_modeling", "scope=causal", "score=dot_product"]
COMMON = ["name=t", "run_dir=x", "given=none", *MODEL]
GRAPHS = sorted(
    path.stem
    for path in CONF.glob("[!_]*.yaml")
    if {"_graphs", "_labelled", "molecules", "tu"} & {*OmegaConf.load(path).get("defaults", [])}
)


def compose(name, *overrides):
    return compose_config(
        *COMMON, f"data={name}", *NEEDS.get(name, []), "data.target_type=regression", *overrides
    )


BARE = ["data.features=null"]  # descriptors take long


def test_all_are_found():
    molecules = "esol freesolv lipophilicity bbbp chemicals melting_point boiling_point"
    others = {"tu_mutag", "tu_proteins", "peptide_activity", "counting"}
    assert {*molecules.split(), *others, *NEEDS} == {*GRAPHS}


@pytest.mark.parametrize("name", GRAPHS)
def test_options_reach_the_datamodule(name):
    data = instantiate(compose(name, "data.rwse=5", "data.batch_size=7", "data.split=none").data)
    assert isinstance(data, DataModule)
    assert (data.pre_transform.transforms[0].walk_length, data.batcher.batch_size) == (5, 7)
    assert data.target_type == "regression"


@pytest.mark.parametrize(
    ("name", "number", "task"),
    [
        ("bbbp", 2039, "classification"),
        ("tu_mutag", 188, "classification"),
        ("peptide_activity", 5200, "classification"),
    ],
)
def test_real_data(name, number, task, shared_data, monkeypatch):
    monkeypatch.setenv("GIA_DATA", str(shared_data))
    data = instantiate(compose(name, f"data.target_type={task}", "data.rwse=0", *BARE).data)
    data.setup()
    assert len(data.graphs) == number
