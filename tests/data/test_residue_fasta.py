"""Sequences with a label for each residue, out of FASTA files side by side."""

import zipfile

import pytest
import torch
from runs import compose_config

from gia.data import DataModule, ResidueFasta, Sequences


@pytest.fixture
def files(tmp_path):
    """Writes FASTA files and gives the dataset of them."""

    def make(sequences, labels=None, mask=None, **options):
        paths = []
        for name, text in (("sequences", sequences), ("labels", labels), ("mask", mask)):
            path = None if text is None else tmp_path / f"{name}.fasta"
            if path is not None:
                path.write_text(text)
            paths.append(path)
        return ResidueFasta(*paths, **{"target_type": "classification"} | options)

    return make


def labels_of(items, graph):
    """Its labels as letters, ? for none."""
    return "".join(
        "?" if number.isnan() else items.class_names[int(number)]
        for number in items.graphs[graph].y[:, 0]
    )


def test_every_residue_has_its_label(files):
    # By name, in any order; lines may be broken anywhere.
    items = files(">a one\nMK\nVL\n>b\nWWW\n", ">b x=1\nEEC\n>a\nHHC\nC\n").items
    assert items.class_names == ["C", "E", "H"]
    assert [data.name for data in items.graphs] == ["a", "b"]
    assert [labels_of(items, i) for i in (0, 1)] == ["HHCC", "EEC"]
    assert items.level == "node"


def test_masked_and_unlabelled_residues_have_none(files):
    items = files(">a\nMKVL\n>b\nWWW\n", ">a\nHH?C\n>b\nEEC\n", ">a\n0111\n>b\n111\n").items
    assert labels_of(items, 0) == "?H?C"
    assert labels_of(items, 1) == "EEC"


def test_labels_follow_what_is_left_out_and_cut(files):
    items = files(">a\nM-K.VL*\n", ">a\nH1C2EEX\n", max_length=3).items
    assert items.graphs[0].text == "MKV"
    assert labels_of(items, 0) == "HCE"


def test_what_does_not_fit_is_told_by_row(files):
    source = files(
        ">a\nMKV\n>b\nWWW\n>c\nLLL\n>d\nMM\n>e\nVV\n",
        ">a\nHHC\n>b\nEECC\n>d\nHH\n>e\nCC\n>x\nHH\n",
        ">a\n111\n>b\n1111\n>d\n1\n",
    )
    items = source.items
    assert [data.name for data in items.graphs] == ["a", "e"]
    told = {entry.name: entry.reason for entry in (*items.masked, *items.rejected)}
    assert told["b"] == "target 'label' has 4 values for 3 nodes"
    assert set(told) >= {"b", "c", "d"}
    assert items.notes[:3] == [
        "1 entries of data.labels_path have no sequence, the first is x",
        "2 have no entry in data.mask_path, and all their labels count, the first is c",
        "1 have a mask of another length than their labels, and none of these counts, "
        "the first is d",
    ]
    data = DataModule(source, target_type="classification", strict=True)
    with pytest.raises(ValueError, match="'label' has 4 values for 3 nodes"):
        data.setup()


def test_entries_that_share_a_name_are_matched_in_their_order(files):
    source = files(">a\nMKV\n>b\nLL\n>a\nWWWW\n", ">a SET=train\nHHC\n>a SET=test\nEEEE\n>b\nCC\n")
    assert [record.cells[0] for record in source.records()] == ["HHC", "CC", "EEEE"]
    assert source.column("split") == ["train", "", "test"]


def test_files_that_do_not_belong_together(files):
    with pytest.raises(
        ValueError, match=r"no entry of data\.labels_path=.*first ones are 'p'.*'a'"
    ):
        files(">a\nMKV\n", ">p\nHHH\n").records()
    with pytest.raises(ValueError, match=r"data\.labels_path=.*labels\.fasta has no '>' header"):
        files(">a\nMKV\n", "HHH\n").records()
    with pytest.raises(FileNotFoundError, match=r"data\.mask_path=.* does not exist"):
        ResidueFasta(files(">a\nM\n").path, files(">a\nM\n").path, "gone.fasta").records()


def test_headers_say_the_parts(files):
    header = ["SET=train VALIDATION=False", "SET=train VALIDATION=True", "SET=test VALIDATION=x"]
    names = [f"p{i}" for i in range(9)]
    sequences = "".join(f">{name}\nMKVLW\n" for name in names)
    labels = "".join(f">{name} {header[i % 3]}\nHHEEC\n" for i, name in enumerate(names))
    source = files(sequences, labels)
    assert source.column("split") == ["train", "val", "test"] * 3
    assert source.column("SET") == ["train", "train", "test"] * 3
    data = DataModule(source, target_type="classification", split="given", split_column="split")
    data.setup()
    assert [graph.name for graph in data.val_data] == ["p1", "p4", "p7"]
    with pytest.raises(ValueError, match="no column 'fold'"):
        source.column("fold")


def test_words_are_labels_too(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("s,y\nMKV,helix coil ?\nMK,HC\nMKVL,coil coil helix coil\n")
    items = Sequences(table, "s", "y", target_level="node", target_type="classification").items
    assert items.class_names == ["C", "H", "coil", "helix"]
    assert [labels_of(items, i) for i in (1,)] == ["HC"]
    assert items.graphs[0].y[:, 0].tolist()[:2] == [3.0, 2.0]
    assert items.graphs[0].y[2].isnan().all()


def test_words_follow_residues(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("s,y\nM-V,helix none coil\nMK-,HCX\n")
    items = Sequences(table, "s", "y", target_level="node", target_type="classification").items
    named = [[items.class_names[int(n)] for n in data.y[:, 0]] for data in items.graphs]
    assert named == [["helix", "coil"], ["H", "C"]]


def test_a_file_out_of_a_downloaded_archive(tmp_path, monkeypatch):
    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "splits.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("splits/sequences.fasta", ">a\nMKV\n")
        file.writestr("splits/labels.fasta", ">a\nHHC\n")
    url = archive.as_uri()
    source = ResidueFasta(tmp_path / "sequences.fasta", tmp_path / "labels.fasta", url=url)
    assert [(r.sequence, r.cells) for r in source.records()] == [("MKV", ["HHC"])]
    gone = ResidueFasta(tmp_path / "others.fasta", url=url)
    with pytest.raises(FileNotFoundError, match=r"holds no others\.fasta, but splits/seq"):
        gone.records()


def test_secondary_structure_as_published(shared_data):
    """FLIP's file, counted apart from gia."""
    folder = shared_data / "protein" / "flip_secondary_structure"
    settings = {
        "path": folder / "sequences.fasta",
        "labels_path": folder / "sampled.fasta",
        "mask_path": folder / "mask.fasta",
    }
    source = ResidueFasta(**settings, target_type="classification")
    parts = source.column("split")
    assert {part: parts.count(part) for part in set(parts)} == {
        "train": 9712,
        "val": 1080,
        "test": 364,
    }
    records = source.records()
    lines = (folder / "mask.fasta").read_text().split("\n")
    masks = dict(zip(lines[0::2], lines[1::2], strict=False))
    for record in records[::500]:
        mask = masks[f">{record.name}"]
        assert len(mask) == len(record.cells[0]) == len(record.sequence)
        assert [c == "?" for c in record.cells[0]] == [m == "0" for m in mask]


def test_the_configuration_names_them():
    cfg = compose_config("name=x", "run_dir=x", "data=secondary_structure")
    assert cfg.data.labels_path.endswith("flip_secondary_structure/sampled.fasta")
    assert cfg.data.url.endswith("splits/secondary_structure/splits.zip")
    assert cfg.task._target_.endswith("Classification")


def test_a_trained_model_reads_sequences_alone(files, tmp_path):
    sequences = "".join(f">p{i}\nMKVLW{'AG' * i}\n" for i in range(20))
    labels = "".join(f">p{i}\nHHEEC{'CH' * i}\n" for i in range(20))
    data = DataModule(files(sequences, labels), target_type="classification")
    new = tmp_path / "new.fasta"
    new.write_text(">q\nMKVX\n")
    other = data.for_model(data.inputs(), new)
    (graph,) = other.test_data
    assert graph.y.shape == (4, 1)
    assert torch.isnan(graph.y).all()
