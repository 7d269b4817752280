"""A checkpoint builds its model, and nothing else that it names."""

import contextlib
import copy
import sys

import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from runs import peptides_fasta, small_run

from gia.tasks.task import FORMAT
from gia.training import RefusedError, Run, check_settings, load_trained

HUB = {"repo_or_dir": "FOLDER", "model": "planted", "source": "local", "trust_repo": True}
PATH = {"_target_": "pathlib.Path", "_args_": ["FOLDER/planted"]}
# What must never be called. The first ones would: the file ``planted`` would be there.
CALLED = {
    "write_text": {"_target_": "pathlib.Path.write_text", "_args_": [PATH, "x"]},
    "touch": {"_target_": "pathlib.Path.touch", "_args_": [PATH]},
    "open": {"_target_": "io.open", "_args_": ["FOLDER/planted", "w"]},
    "torch.hub": {"_target_": "torch.hub.load", **HUB},
    "by way of torch.nn": {"_target_": "torch.nn.functional.torch.hub.load", **HUB},
    # A class of PyG's, whose constructor evaluates the types in a signature.
    "evaluating": {
        "_target_": "torch_geometric.nn.Sequential",
        "input_args": "x: __import__('pathlib').Path('FOLDER/planted').touch()",
        "modules": [[{"_target_": "torch.nn.Identity"}, "x -> x"]],
    },
}
OTHERS = {
    "os.system": {"_target_": "os.system", "_args_": ["touch FOLDER/planted"]},
    "by way of gia": {"_target_": "gia.data.files.os.system", "_args_": ["touch FOLDER/planted"]},
    "eval": {"_target_": "builtins.eval", "_args_": ["open('FOLDER/planted', 'w')"]},
    "Popen": {"_target_": "subprocess.Popen", "_args_": [["touch", "FOLDER/planted"]]},
    "download": {
        "_target_": "torch_geometric.data.download_url",
        "url": "file://FOLDER/hubconf.py",
        "folder": "FOLDER/planted",
    },
    "get_method": {"_target_": "hydra.utils.get_method", "path": "os.system"},
    "get_class": {"_target_": "hydra.utils.get_class", "path": "gia.nn.Block"},
    "a run": {"_target_": "gia.training.Run.from_config", "cfg": {}},
    "a data set": {
        "_target_": "torch_geometric.datasets.TUDataset",
        "root": "FOLDER/planted",
        "name": "MUTAG",
    },
    "a logger": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "FOLDER/planted"},
    "a trainer": {"_target_": "pytorch_lightning.Trainer"},
    "a module": {"_target_": "gia.data.files.os"},
    "a method": {"_target_": "gia.nn.Block.forward"},
    "no such class": {"_target_": "gia.nn.NoSuchBlock"},
    "another package": {"_target_": "imaginary.Layer"},
    "no name": {"_target_": 3},
}
PLANTS = CALLED | OTHERS


def fill(value, folder):
    """The same with a real folder, in which a hub of torch lies as well."""
    (folder / "hubconf.py").write_text(
        f"def planted():\n    open({str(folder / 'planted')!r}, 'w').close()\n"
    )
    if isinstance(value, dict):
        return {key: fill(member, folder) for key, member in value.items()}
    if isinstance(value, list):
        return [fill(member, folder) for member in value]
    return value.replace("FOLDER", str(folder)) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """What a real run keeps of itself."""
    folder = tmp_path_factory.mktemp("trusted")
    run = Run.from_config(small_run(folder / "run", peptides_fasta(folder)))
    return {"hyper_parameters": dict(run.task.hparams), "state_dict": run.task.state_dict()}


def planted_in(checkpoint, place, plant, path):
    """The file with a plant at a place of its settings, given as keys with dots between."""
    checkpoint = copy.deepcopy(checkpoint)
    *way, last = place.split(".")
    node = checkpoint["hyper_parameters"]["settings"]
    for key in way:
        node = node[key] if node.get(key) is not None else node.setdefault(key, {})
    node[last] = plant
    torch.save(checkpoint, path)
    return path


def refused(path, folder):
    before = {name for name in sys.modules if name.startswith("imaginary")}
    with pytest.raises(RefusedError, match=r"x.ckpt is refused: ") as error:
        load_trained(path)
    assert "\n" not in str(error.value)
    assert not (folder / "planted").exists()
    assert {name for name in sys.modules if name.startswith("imaginary")} == before


@pytest.mark.parametrize("name", CALLED)
def test_the_plants_would_be_called(name, tmp_path):
    """Without the list Hydra calls them, whatever it keeps from being called."""
    with contextlib.suppress(InstantiationException):  # one does it before it fails
        instantiate(OmegaConf.create({"plant": fill(CALLED[name], tmp_path)}))
    assert (tmp_path / "planted").exists()


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_not_on_the_list_is_refused(checkpoint, name, tmp_path):
    plant = fill(PLANTS[name], tmp_path)
    refused(planted_in(checkpoint, "model.head", plant, tmp_path / "x.ckpt"), tmp_path)


@pytest.mark.parametrize(
    "place",
    [
        *("model", "model.block.norm", "model.block.mlp.extra.deeper", "optimizer", "optimizer.lr"),
        *("task", "task.vocab_size", "scheduler", "data.dataset", "data.transform"),
        *("report", "runner", "trainer", "callbacks.mine", "logger.csv", "inputs.tokenizer"),
    ],
)
@pytest.mark.parametrize("name", ["touch", "os.system", "by way of torch.nn", "evaluating"])
def test_wherever_it_is_planted(checkpoint, place, name, tmp_path):
    plant = fill(PLANTS[name], tmp_path)
    refused(planted_in(checkpoint, place, plant, tmp_path / "x.ckpt"), tmp_path)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda plant: {**plant, "_partial_": True},
        lambda plant: {**plant, "_recursive_": False, "_convert_": "all"},
        lambda plant: [1, [plant]],
        lambda plant: (plant,),
        lambda plant: {"_target_": "torch.nn.Sequential", "_args_": [plant]},
        lambda plant: {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": plant},
    ],
    ids=["partial", "not recursive", "lists", "tuple", "an argument", "a keyword"],
)
def test_however_it_is_wrapped(checkpoint, wrapped, tmp_path):
    plant = wrapped(fill(CALLED["touch"], tmp_path))
    refused(planted_in(checkpoint, "model.norm", plant, tmp_path / "x.ckpt"), tmp_path)


@pytest.mark.parametrize(
    "text", ["${spare}", "${oc.env:SPARE}", "pathlib.${oc.decode:Path}.touch", "a ${spare} more"]
)
def test_nothing_is_behind_an_interpolation(checkpoint, text, tmp_path):
    spare = copy.deepcopy(checkpoint)
    spare["hyper_parameters"]["settings"]["spare"] = "pathlib.Path.touch"
    plant = {"_target_": text, "_args_": [PATH]}
    refused(planted_in(spare, "model.norm", fill(plant, tmp_path), tmp_path / "x.ckpt"), tmp_path)
    refused(planted_in(spare, "model.width", text, tmp_path / "x.ckpt"), tmp_path)


@pytest.mark.parametrize(
    "target",
    [
        *("torch.nn.GELU", "torch.nn.modules.activation.GELU", "torch_geometric.nn.GATv2Conv"),
        *("torch_geometric.nn.norm.GraphNorm", "torch_geometric.nn.aggr.SumAggregation"),
        *("torchmetrics.MeanMetric", "torch.optim.SGD", "torch.optim.lr_scheduler.StepLR"),
        *("gia.nn.Block", "gia.attention.CausalScope", "gia.nn.conv.GINConv", "torch.tensor"),
        *("gia.training.schedules.cosine", "gia.tasks.Regression"),
    ],
)
def test_parts_of_the_libraries_are_on_the_list(target):
    check_settings({"model": [{"norm": {"_target_": target, "_partial_": True}}]}, "x.ckpt")


def test_data_is_built_where_data_is_and_nowhere_else():
    for target in (
        "gia.data.Molecules",
        "torch_geometric.transforms.Compose",
        "gia.data.CharTokenizer",
    ):
        check_settings({"data": {"dataset": {"_target_": target}}}, "x.ckpt")
        with pytest.raises(RefusedError, match=r"at model.dataset it names"):
            check_settings({"model": {"dataset": {"_target_": target}}}, "x.ckpt")


@pytest.mark.parametrize("name", ["TUDataset", "tu_dataset.TUDataset", "ZINC", "FakeDataset"])
@pytest.mark.parametrize("place", ["data.dataset", "data", "data.transform"])
def test_data_sets_of_pyg_are_trusted_by_name(checkpoint, name, place, tmp_path):
    """They unpickle their files, from wherever a checkpoint says."""
    target = f"torch_geometric.datasets.{name}"
    plant = {"_target_": target, "root": "http://127.0.0.1:9/root", "_partial_": True}
    path = planted_in(checkpoint, place, plant, tmp_path / "x.ckpt")
    with pytest.raises(RefusedError, match=rf"can run code .*, give trust={target}$"):
        load_trained(path)
    for trust in (target, "torch_geometric.datasets"):
        load_trained(path, trust=trust)


@pytest.mark.parametrize(
    "target",
    [
        "torchmetrics.functional.image.lpips._LPIPS",
        "pytorch_lightning.demos.mnist_datamodule.MNISTDataModule",
        "torch_geometric.data.InMemoryDataset",
    ],
)
def test_other_classes_that_load_files_are_refused(target):
    for section in ("data", "model"):
        with pytest.raises(RefusedError, match="is refused: at"):
            check_settings({section: {"_target_": target}}, "x.ckpt")


def test_data_is_at_no_address_but_a_url_of_gias_own():
    url = {"_target_": "gia.data.DataModule", "url": "https://example.org/x.csv", "path": None}
    check_settings({"data": url, "homepage": "https://example.org"}, "x.ckpt")
    for key in ("path", "root"):
        for address in ("http://127.0.0.1:9/x", "memory://x", "simplecache::s3://x"):
            with pytest.raises(RefusedError, match=rf"data\.{key} is '{address}', but data in"):
                check_settings({"data": url | {key: address}}, "x.ckpt")


def test_a_module_of_the_users_own_is_trusted_by_name(checkpoint, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_layers.py").write_text(
        "import os\nimport torch\n\n"
        "class Adam(torch.optim.SGD):\n    pass\n\n"
        "def sgd(*args, **kwargs):\n    return Adam(*args, **kwargs)\n"
    )
    for name in ("Adam", "sgd"):
        own = {"_target_": f"my_layers.{name}", "_partial_": True, "lr": 0.1}
        path = planted_in(checkpoint, "optimizer", own, tmp_path / "x.ckpt")
        refused(path, tmp_path)
        assert "my_layers" not in sys.modules or name == "sgd"
        for trust in ("my_layers", ["other", "my_layers"], f"my_layers.{name}"):
            task, _ = load_trained(path, trust=trust)
            assert type(task.make_optimizer(task.parameters())).__name__ == "Adam"
    # It vouches for what is in it, and not for what it imports.
    plant = {"_target_": "my_layers.os.system", "_args_": [f"touch {tmp_path / 'planted'}"]}
    path = planted_in(checkpoint, "model.norm", plant, tmp_path / "x.ckpt")
    with pytest.raises(RefusedError, match=r"names 'my_layers.os.system'"):
        load_trained(path, trust="my_layers")
    with pytest.raises(ValueError, match=r"trust must name modules, such as .*, got 'a-b'"):
        load_trained(path, trust="a-b")


def test_a_run_that_goes_on_builds_nothing_of_the_file(checkpoint, tmp_path):
    fasta = peptides_fasta(tmp_path)
    plant = fill(CALLED["touch"], tmp_path)
    path = planted_in(checkpoint, "model.norm", plant, tmp_path / "x.ckpt")
    with pytest.raises(RefusedError, match=r"x.ckpt is refused: at model.norm"):
        Run.from_config(small_run(tmp_path / "run", fasta, f"ckpt_path={path}"))
    assert not (tmp_path / "planted").exists()
    assert not (tmp_path / "run").exists()


def test_a_run_that_goes_on_trusts_what_its_own_settings_name(checkpoint, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_optimizers.py").write_text("import torch\n\nclass Own(torch.optim.SGD): ...\n")
    own = {"_target_": "my_optimizers.Own", "_partial_": True, "lr": 0.1}
    path = planted_in(checkpoint, "optimizer", own, tmp_path / "x.ckpt")
    settings = [f"ckpt_path={path}", "optimizer._target_=my_optimizers.Own", "~optimizer.betas"]
    run = Run.from_config(small_run(tmp_path / "run", peptides_fasta(tmp_path), *settings))
    assert type(run.task.make_optimizer(run.task.parameters())).__name__ == "Own"


def test_files_of_before_are_refused_with_one_line(checkpoint, tmp_path):
    for known, message in (
        ({}, r"x.ckpt has format 0, but this gia reads format 1: train the model again, or load"),
        ({"format": FORMAT + 1}, rf"x.ckpt has format {FORMAT + 1}, but this gia reads"),
    ):
        settings = checkpoint["hyper_parameters"]["settings"]
        old = {**checkpoint, "hyper_parameters": {"settings": settings, **known}}
        torch.save(old, tmp_path / "x.ckpt")
        with pytest.raises(ValueError, match=message) as error:
            load_trained(tmp_path / "x.ckpt")
        assert "\n" not in str(error.value)


def test_settings_that_are_no_settings_are_told(tmp_path):
    torch.save({"hyper_parameters": {"format": FORMAT, "settings": [1]}}, tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match=r"x.ckpt was not written by gia: it holds no settings"):
        load_trained(tmp_path / "x.ckpt")
