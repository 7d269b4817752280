"""Several molecules a row as a user meets them: trained, predicted, embedded, explained."""

import random

import numpy as np
import pytest
import torch
from runs import gia
from runs import read_table as read
from runs import write_table as write
from torch_geometric.data import Batch

from gia.training import load_trained, trained_data

FAST = [
    *("model.width=16", "model.heads=2", "model.depth=1", "mlp.hidden=16", "optimizer.lr=0.01"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=30"),
    *("data.batch_size=16", "data.rwse=4"),
]
COLUMNS = ["data.smiles_column=[solute,solvent]", "data.target_column=difference"]
CHECKPOINT = "ckpt_path=run/checkpoints/best.ckpt"


def chains(number, seed):
    """Pairs of chains, and how many carbons more the first has."""
    draw = random.Random(seed)
    sizes = [(draw.randint(1, 8), draw.randint(1, 8)) for _ in range(number)]
    ends = "ON"
    return [["C" * a + draw.choice(ends), "C" * b + draw.choice(ends), a - b] for a, b in sizes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("components")
    rows = chains(120, 0)
    rows[4][1], rows[9][0] = "", "C1CC"
    write(folder / "table.csv", ["solute", "solvent", "difference"], rows)
    done = gia(
        "train",
        "data=molecules",
        "data.path=table.csv",
        *COLUMNS,
        *FAST,
        "data.features=null",
        "run_dir=run",
        cwd=folder,
    )
    assert "2 rows skipped" in done.stdout
    assert "row 4: 'solvent': the SMILES is empty" in done.stdout
    assert "row 9: 'solute': rdkit rejects 'C1CC'" in done.stdout
    assert (folder / "run" / "attention_graph.svg").exists()
    write(folder / "new.csv", ["solute", "solvent"], [row[:2] for row in chains(30, 1)])
    return folder


def predicted(folder, *arguments):
    gia("predict", CHECKPOINT, *arguments, "out=predicted.csv", cwd=folder)
    rows = read(folder / "predicted.csv")
    (folder / "predicted.csv").unlink()
    return rows


def test_the_order_of_the_columns_is_learned(folder):
    truth = np.array([row[2] for row in chains(30, 1)])
    there, back = (
        np.array([float(row["predicted_difference"]) for row in predicted(folder, *arguments)])
        for arguments in (
            ["data.path=new.csv"],
            ["data.path=new.csv", "data.smiles_column=[solvent,solute]"],
        )
    )
    assert np.sqrt(np.mean((there - truth) ** 2)) < 0.5 * truth.std()
    assert np.sqrt(np.mean((back + truth) ** 2)) < 0.5 * truth.std()


def test_a_table_is_predicted_as_its_graphs_are(folder):
    rows = predicted(folder, "data.path=new.csv")
    task, config = load_trained(folder / "run" / "checkpoints" / "best.ckpt")
    config.data.path = str(folder / "table.csv")
    data = trained_data(config, {"path": str(folder / "new.csv")})
    with torch.no_grad():
        said = task.eval().predict_step(Batch.from_data_list(list(data.test_data)))[:, 0]
    written = torch.tensor([float(row["predicted_difference"]) for row in rows])
    torch.testing.assert_close(written, said, rtol=1e-3, atol=1e-4)


def test_rows_without_a_molecule_are_told_by_column(folder):
    table = [["CCO", ""], ["CCO", "CCN"], ["", "C1CC"]]
    write(folder / "bad.csv", ["solute", "solvent"], table)
    rows = predicted(folder, "data.path=bad.csv")
    assert [row["problem"] for row in rows] == [
        "'solvent': the SMILES is empty",
        "",
        "'solute': the SMILES is empty; 'solvent': rdkit rejects 'C1CC': it is not SMILES",
    ]
    assert [bool(row["predicted_difference"]) for row in rows] == [False, True, False]


BAD = {
    "one": (
        ["data.smiles_column=solute"],
        "were 2 in the training of the model, and here they are 1",
    ),
    "typo": (
        ["data.smiles_column=[solute,solvnt]"],
        "did you mean 'data.smiles_column=[solute,solvent]'?",
    ),
    "twice": (["data.smiles_column=[solute,solute]"], "names 'solute' twice"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_columns_get_one_clear_message(folder, case):
    settings, message = BAD[case]
    done = gia("predict", CHECKPOINT, "data.path=new.csv", *settings, cwd=folder, check=False)
    assert done.returncode == 1
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr + done.stdout


def test_vectors_and_explanations(folder):
    gia("embed", CHECKPOINT, "data.path=new.csv", "level=node", "out=atoms.npz", cwd=folder)
    found = np.load(folder / "atoms.npz")
    sizes = [len(a) + len(b) for a, b, _ in chains(30, 1)]
    assert np.diff(found["ptr"]).tolist() == sizes
    settings = ["data.path=new.csv", "explain=true", "explain_rows=6", "out=why.csv"]
    gia("predict", CHECKPOINT, *settings, cwd=folder)
    explained = folder / "why_explained"
    assert len(list(explained.glob("*_row_*.svg"))) == 6
    rows = read(explained / "attributions.csv")
    assert [row["component"] for row in rows if row["row"] == "0"] == [
        str(place) for place, smiles in enumerate(chains(30, 1)[0][:2]) for _ in smiles
    ]
    shares = {"0": [], "1": []}
    for row in rows:
        if row["symbol"] == "C":
            shares[row["component"]].append(float(row["attribution_difference"]))
    assert np.mean(shares["0"]) > np.mean(shares["1"]) + 0.5  # carbons there add, here take off


def test_a_ligand_and_its_peptide(tmp_path):
    rows = [[a, "ACDK" * (i % 5 + 1), i] for i, (a, _, _) in enumerate(chains(40, 2))]
    write(tmp_path / "table.csv", ["ligand", "peptide", "pK"], rows)
    columns = ["data.smiles_column=ligand", "data.sequence_column=peptide", "data.target_column=pK"]
    table = ["data=molecules", "data.path=table.csv", *columns]
    short = ["trainer.max_epochs=1", "data.compared_column=ligand", "data.max_length=16"]
    done = gia("train", *table, *FAST, *short, "run_dir=run", cwd=tmp_path)
    assert "8 sequences longer than data.max_length were cut" in done.stdout
    assert "the split compares 'ligand' alone" in done.stdout
    new = [["CCO", "ACDK"], ["CCN", "ACDK"], ["CCO", "ACDC"], ["CCO", "KDCA"], ["CCO", ""]]
    write(tmp_path / "new.csv", ["smiles", "protein"], new)
    names = ["data.smiles_column=smiles", "data.sequence_column=protein"]
    gia("predict", CHECKPOINT, "data.path=new.csv", *names, "out=out.csv", cwd=tmp_path)
    rows = read(tmp_path / "out.csv")
    assert rows[4]["problem"] == "'protein': the sequence is empty"
    assert len({row["predicted_pK"] for row in rows[:4]}) == 4  # order of residues counts
