"""What a run draws along the sequences of its test part."""

import math
from types import SimpleNamespace

import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import global_add_pool

from gia.data import DataModule, Sequences
from gia.tasks import Classification, Regression, tracks
from gia.tasks.tracks import chains_of, picture_sequences, telling

NAN = math.nan


class Features(nn.Module):
    """Says what the nodes are, or adds a graph's up."""

    def __init__(self, level):
        super().__init__()
        self.level = level

    def forward(self, data):
        return data.x if self.level == "node" else global_add_pool(data.x, data.batch)


def regression(level):
    return Regression(
        Features(level),
        target_names=["log S"], target_mean=[10.0], target_std=[2.0], level=level,
        optimizer=torch.optim.SGD,
    )  # fmt: skip


def graph(row, x, y):
    return Data(
        x=torch.tensor(x), edge_index=torch.empty(2, 0, dtype=torch.long),
        y=torch.tensor(y), name=f"row_{row}", row=row,
    )  # fmt: skip


def classification():
    return Classification(
        Features("node"),
        target_names=["structure", "site"], class_names=[["C", "H"], ["no", "yes"]], level="node",
        optimizer=torch.optim.SGD,
    )  # fmt: skip


def chain(row, classes):
    """A sequence whose model says the first class of each residue, sure of it."""
    data = graph(row, [[9.0, 0.0, 9.0, 0.0]] * len(classes), [[one, NAN] for one in classes])
    data.seq_pos, data.text = torch.arange(len(classes)), "A" * len(classes)
    return data


def drawn(task, graphs, folder, kind="sequence"):
    data = SimpleNamespace(test_data=graphs, items=SimpleNamespace(kind=kind))
    found = task.predictions(DataLoader(graphs, batch_size=2))
    return [path.name for path in picture_sequences(task, data, found, folder)]


def test_each_target_that_is_known_has_a_figure(tmp_path):
    graphs = [chain(row, [0.0, float(row % 2), NAN]) for row in (3, 1, 2)]
    assert drawn(classification(), graphs, tmp_path) == [
        "sequences_structure.png", "sequences_structure.svg",
    ]  # fmt: skip


def test_nodes_without_an_order_and_whole_graphs_are_not_drawn(tmp_path):
    graphs = [chain(0, [0.0, 1.0])]
    del graphs[0].seq_pos
    assert drawn(classification(), graphs, tmp_path) == []
    whole = [graph(0, [[1.0]], [[2.0]])]
    assert drawn(regression("graph"), whole, tmp_path) == []


def test_numbers_are_drawn_in_their_unit(tmp_path, monkeypatch):
    task, data = regression("node"), graph(0, [[1.0], [2.0]], [[12.0], [NAN]])
    data.seq_pos, data.text, task.units = torch.arange(2), "AC", ["ppm"]
    figures = []

    def keep(figure, path):
        figures.append(figure)
        return [path]

    monkeypatch.setattr(tracks, "save", keep)
    assert drawn(task, [data], tmp_path) == ["sequences"]
    assert figures[0].axes[0].get_ylabel() == "log S (ppm)"


def test_the_chosen_ones_are_neither_the_best_nor_the_worst():
    task = classification()
    graphs = [chain(row, [1.0] * row + [0.0] * (40 - row)) for row in range(21)]
    found = task.predictions(DataLoader(graphs, batch_size=4))
    chains = chains_of(task, graphs, found, 0, "sequence")
    assert [one.error for one in chains[:2]] == [0, 1 / 40]
    assert [one.name for one in telling(chains)] == ["row_18", "row_10", "row_2"]
    assert telling([one for one in chains if one.name == "row_3"])[0].name == "row_3"
    # Those that fit, and of which enough is known, come before others.
    short = chain(99, [1.0] * 3)
    found = task.predictions(DataLoader([*graphs[:3], short], batch_size=4))
    chains = chains_of(task, [*graphs[:3], short], found, 0, "sequence")
    assert "row_99" not in [one.name for one in telling(chains)]


def test_the_letters_are_those_of_the_sequences(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("s,y\n" + "".join(f"ACD{'E' * row},HC?{'H' * row}\n" for row in range(1, 9)))
    source = Sequences(table, "s", "y", target_level="node", target_type="classification")
    data = DataModule(source, target_type="classification", split="none")
    data.setup()
    task = Classification(
        lambda batch: torch.zeros(batch.num_nodes, 2),
        target_names=["y"], class_names=["C", "H"], level="node", optimizer=torch.optim.SGD,
    )  # fmt: skip
    found = task.predictions(data.loader("test"))
    first = chains_of(task, data.test_data, found, 0, "sequence")[0]
    assert first.labels == list("ACDE")
    assert first.known.tolist() == [True, True, False, True]
