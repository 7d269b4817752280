"""A trained model's own data is that of its training, or it is told."""

import csv

import pytest
import torch
from omegaconf import OmegaConf
from runs import SMALL, compose_config, peptides_fasta, small_run
from torch_geometric.data import Data

from gia.data import Compounds, DataModule
from gia.training import Run, load_trained, trained_data

EPOCH = ["trainer.max_epochs=1", "scheduler.warmup_steps=2"]
FAKE = ["data=pyg", "data.dataset._target_=torch_geometric.datasets.FakeDataset",
        "+data.dataset.num_graphs=40", "+data.dataset.avg_num_nodes=6",
        "+data.dataset.num_channels=4", "task=classification"]  # fmt: skip
TRUST = "torch_geometric.datasets.FakeDataset"


def graph(i, **changes):
    edges = torch.tensor([[0, 1, 2], [1, 2, i % 3]])
    return Data(x=torch.eye(3), edge_index=edges, y=torch.tensor([float(i)])).update(changes)


def fingerprint(graphs, **options):
    return DataModule(graphs, **options).fingerprint()


def test_the_fingerprint_knows_data_without_texts():
    known = fingerprint([graph(i) for i in range(20)])
    assert fingerprint([graph(i) for i in range(20)]) == known
    changes = {
        "x": torch.ones(3, 3),
        "edge_index": torch.tensor([[0], [1]]),
        "y": torch.tensor([7.5]),
    }
    for key, value in changes.items():
        graphs = [graph(i) for i in range(19)] + [graph(19, **{key: value})]
        assert fingerprint(graphs) != known, key


def test_the_fingerprint_of_texts_is_that_of_before():
    """Evidence and checkpoints hold it."""
    texts = [f"{'C' * (i + 1)}O" for i in range(20)]
    first = fingerprint([graph(i, smiles=text) for i, text in enumerate(texts)])
    other = fingerprint([graph(i + 1, smiles=text) for i, text in enumerate(texts)])
    assert first == other


def test_random_transforms_leave_the_fingerprint_alone():
    def noise(data):
        data.x = data.x + torch.rand_like(data.x)
        return data

    first, second = (fingerprint([graph(i) for i in range(20)], transform=noise) for _ in range(2))
    assert first == second


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    """A run on data that is drawn."""
    folder = tmp_path_factory.mktemp("fake")
    cfg = compose_config(*SMALL, *FAKE, *EPOCH, f"run_dir={folder}/run", "seed=3")
    run = Run.from_config(cfg)
    run.fit()
    return run


def test_data_that_is_drawn_is_drawn_again(fake):
    best = fake.folder / "checkpoints" / "best.ckpt"
    for _ in range(2):
        torch.rand(7)
        _, config = load_trained(best, trust=TRUST)
        data = trained_data(config)
        assert data.fingerprint() == config.split_fingerprint
        assert torch.equal(data.test_data[0].x, fake.datamodule.test_data[0].x)


def test_other_data_of_the_same_length_is_refused(fake, tmp_path):
    best = fake.folder / "checkpoints" / "best.ckpt"
    more = [f"run_dir={tmp_path}/run", "seed=4", f"ckpt_path={best}"]
    with pytest.raises(ValueError, match="was trained on another split of the data"):
        Run.from_config(compose_config(*SMALL, *FAKE, *EPOCH, *more))
    _, config = load_trained(best, trust=TRUST)
    config.seed = 4
    with pytest.raises(ValueError, match="the data or its split is not that of the training"):
        trained_data(config)
    assert len(trained_data(config, whole=True).test_data) == 40


def test_a_table_that_grew_keeps_its_parts_by_file(tmp_path):
    _, rows = Compounds("melting_point").table()
    lines = [[*row.values()] for row in rows[::120]]
    table = tmp_path / "molecules.csv"

    def write(lines):
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([["cas", "smiles", "Tm"], *lines])

    write(lines)
    columns = ["smiles_column=smiles", "target_column=Tm", "name_column=cas", "split=random"]
    cfg = compose_config(
        *SMALL, "data=molecules", f"data.path={table}", *(f"data.{c}" for c in columns), *EPOCH,
        f"run_dir={tmp_path}/run",
    )  # fmt: skip
    run = Run.from_config(cfg)
    run.fit()
    _, config = load_trained(tmp_path / "run" / "checkpoints" / "best.ckpt")
    tested = [data.name for data in run.datamodule.test_data]
    assert [data.name for data in trained_data(config).test_data] == tested
    write([*lines, ["new", "CCCCCCCCCO", "250"]])
    file = tmp_path / "run" / "splits.csv"
    with pytest.raises(ValueError, match=r"may hold what the model was trained on") as error:
        trained_data(config)
    assert f"data.split_file={file}; " in str(error.value)
    data = trained_data(config, OmegaConf.create({"path": None, "split_file": str(file)}))
    assert [data.name for data in data.test_data] == tested
    whole = trained_data(config, whole=True).test_data
    assert len(whole) == len(lines) + 1
    for other, all_of_it in (({"split_file": str(file), "path": str(table)}, False),
                             ({"split_file": str(file)}, True)):  # fmt: skip
        with pytest.raises(ValueError, match="is for the parts of the model's own data"):
            trained_data(config, OmegaConf.create(other), whole=all_of_it)


def test_a_language_model_knows_its_own_data(tmp_path):
    run = Run.from_config(small_run(tmp_path / "run", peptides_fasta(tmp_path), *EPOCH))
    run.fit()
    _, config = load_trained(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert trained_data(config).fingerprint() == run.datamodule.fingerprint()
