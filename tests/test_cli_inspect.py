"""Attention graphs to look at, as a user meets them: a model and an item in, a folder out."""

import pytest
from bases import tiny_base
from runs import gia, peptides_fasta, read_table, write_table

FAST = [
    *("model.width=16", "model.heads=2", "model.depth=2", "mlp.hidden=24"),
    *("callbacks.progress_bar=null", "logger.tensorboard=null", "trainer.max_epochs=1"),
]
CAUSAL, MOLECULES = "causal/checkpoints/best.ckpt", "molecules/checkpoints/best.ckpt"
SMILES = ["CCO", "c1ccccc1O", "CC(=O)NC", "C1CCCCC1N", "OCC(O)CO", "CCCCC", "ClC(C)C", "N#CCO"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model of sequences and one of molecules."""
    folder = tmp_path_factory.mktemp("inspect")
    peptides_fasta(folder)
    gia("train", "data=fasta", "data.path=peptides.fasta", *FAST, "run_dir=causal", cwd=folder)
    rows = [[smiles + "C" * (i // 8), i] for i, smiles in enumerate(SMILES * 6)]
    write_table(folder / "molecules.csv", ["smiles", "y"], rows)
    columns = ["data.smiles_column=smiles", "data.target_column=y", "run_dir=molecules"]
    settings = ["data=molecules", "data.path=molecules.csv", "data.features=null", "~blend"]
    gia("train", *settings, *columns, *FAST, cwd=folder)
    return folder


def look(folder, *settings):
    return gia("inspect", *settings, cwd=folder)


def heads(folder, out):
    rows = read_table(folder / out / "measures.csv")
    return [(int(row["layer"]), int(row["head"])) for row in rows]


def labels(folder, out):
    rows = read_table(folder / out / "nodes.csv")
    return [row["label"] for row in rows[: max(int(row["node"]) for row in rows)]]


def test_a_sequence(folder):
    done = look(folder, f"ckpt_path={CAUSAL}", "input=GLFDIIKKIAESF", "out=looked")
    assert "GLFDIIKKIAESF, 14 nodes" in done.stdout
    assert heads(folder, "looked") == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert labels(folder, "looked") == ["<bos>", *"GLFDIIKKIAESF"]
    assert (folder / "looked/report.html").read_text().count("GLFDIIKKIAESF")
    assert {"heads.png", "effective.svg", "layer_2.png", "layer_1.graphml", "graphs.pt"} <= {
        path.name for path in (folder / "looked").iterdir()
    }
    assert not (folder / "looked/layer_1.png").exists()  # that was not named


def test_signs_that_no_file_can_hold(folder):
    tiny_base(folder / "base")
    look(folder, "base=base", "input=One \x07day\x1b[31m", "out=signs")
    assert (folder / "signs/report.html").exists()
    assert all(label.isprintable() for label in labels(folder, "signs"))


def test_chosen_layers_and_heads_of_the_data(folder):
    settings = ["item=3", "layers=1", "heads=[2]", "out=some"]
    done = look(folder, f"ckpt_path={CAUSAL}", *settings)
    assert "report.html" in done.stdout
    assert heads(folder, "some") == [(1, 2)]
    assert (folder / "some/layer_1.png").exists()
    name = read_table(folder / "causal/splits.csv")
    test = [row["name"] for row in name if row["split"] == "test"]
    look(folder, f"ckpt_path={CAUSAL}", f"item={test[3]}", "layers=1", "heads=2", "out=same")
    assert labels(folder, "same") == labels(folder, "some")


def test_a_molecule_is_drawn(folder):
    pytest.importorskip("rdkit")
    done = look(folder, f"ckpt_path={MOLECULES}", "input=CC(=O)Nc1ccccc1O", "out=drawn")
    assert "AUROC" in done.stdout
    assert "reads these edges itself" in done.stdout
    assert labels(folder, "drawn") == list("CCONCCCCCCO")
    assert "data:image/png;base64" in (folder / "drawn/report.html").read_text()
    look(folder, f"ckpt_path={MOLECULES}", "out=largest")  # an item of the test part
    assert len(labels(folder, "largest")) > 3


def test_contacts_of_a_protein(folder):
    pytest.importorskip("gemmi", reason="gemmi is not installed")
    from proteins import mmcif, protein

    (folder / "hairpin.cif").write_bytes(mmcif(protein()))
    settings = ["data=protein_structures", "data.path=hairpin.cif", "out=contacts"]
    done = look(folder, f"ckpt_path={CAUSAL}", *settings)
    assert "AUROC" in done.stdout
    assert "reads these edges itself" not in done.stdout
    assert (folder / "contacts/contact_map.png").exists()
    assert len(labels(folder, "contacts")) == 20


def test_a_pretrained_model_and_its_adapter(folder):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from gia import adapters

    tiny_base(folder / "base")
    text = "input=What is 12 and 7?"
    done = look(folder, "base=base", text, "out=plain")
    assert "What is 12 and 7?" in done.stdout
    assert heads(folder, "plain") == [(layer, head) for layer in (1, 2) for head in (1, 2, 3, 4)]
    assert "".join(labels(folder, "plain")).replace("␣", " ") == "What is 12 and 7?"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "base")
    adapters.add(model, adapters.GraphLoRAConfig(r=2, layers=[1]))
    adapters.save(model, folder / "mine")
    look(folder, "base=base", "adapter_path=mine", text, "out=adapted")
    assert heads(folder, "adapted") == [(2, 1)]  # one graph for all heads, of its own layer
    first, *_ = torch.load(folder / "adapted/graphs.pt", weights_only=False)
    assert not (first.edge_index[0] == first.edge_index[1]).any()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "give a trained model, ckpt_path="),
        ([f"ckpt_path={CAUSAL}", "layers=9"], "layers=[9]: the layers with a graph are 1, 2"),
        ([f"ckpt_path={CAUSAL}", "heads=[0]"], "heads=[0]: the heads with a graph are 1, 2"),
        ([f"ckpt_path={CAUSAL}", "layers=two"], "layers must be numbers from 1"),
        ([f"ckpt_path={CAUSAL}", "input="], "input= is empty"),
        ([f"ckpt_path={CAUSAL}", "input=GL1"], "symbols that the model does not know: {'1': 1}"),
        ([f"ckpt_path={CAUSAL}", "input=GL", "item=2"], "leave out data.path, part and item"),
        ([f"ckpt_path={CAUSAL}", "item=nobody"], "item=nobody: there is no such name"),
        ([f"ckpt_path={CAUSAL}", "max_nodes=3"], "at most 3 are looked at"),
        ([f"ckpt_path={CAUSAL}", "adapter_path=x"], "a checkpoint has its own"),
        ([f"ckpt_path={CAUSAL}", "out=peptides.fasta"], "out=peptides.fasta is a file"),
        ([f"ckpt_path={MOLECULES}", "input=C1CC"], "rdkit rejects 'C1CC'"),
        (["base=nowhere/at/all", "input=a"], "there is no model nowhere/at/all"),
        (["base=base"], "a pretrained model is given a text"),
        (["base=base", "input=a\udcff"], "no UTF-8"),
    ],
)
def test_what_is_wrong_is_told(folder, settings, said):
    done = gia("inspect", "out=wrong", *settings, cwd=folder, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "wrong").exists()


def test_a_text_longer_than_the_model_reads(folder):
    tiny_base(folder / "short", context=8)
    text = "input=" + "What is it? " * 9
    done = gia("inspect", "base=short", text, "out=wrong", cwd=folder, check=False)
    assert "the model reads 8" in done.stderr
