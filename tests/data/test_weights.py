"""How much each item counts, and how often each is drawn."""

from collections import Counter

import pytest
import torch
from torch_geometric.data import Data

from gia.data import DataModule, Molecules
from gia.data.weights import drawn_equally

EDGES = torch.tensor([[0, 1], [1, 0]])
HEADER = "smiles,y,w,part\n"


def item(y, **more):
    return Data(x=torch.ones(2, 1), edge_index=EDGES, y=torch.as_tensor(y), **more)


def imbalanced(rare=6, common=54, **options):
    """Graphs of two classes, of which one is rare."""
    graphs = [item(int(i < rare)) for i in range(rare + common)]
    options = {"target_type": "classification", "batch_size": 10, "val_fraction": 0.2} | options
    return DataModule(graphs, **options)


@pytest.fixture
def table(tmp_path):
    def write(*rows):
        file = tmp_path / "t.csv"
        file.write_text(HEADER + "\n".join(rows))
        return Molecules(file, "smiles", "y")

    return write


ROWS = ("C,1,2,train", "CC,2,4,train", "CCC,3,0,val", "N,4,1.5,test", "O,,7,train")


def test_weights_of_a_table(table):
    data = DataModule(table(*ROWS), split="given", split_column="part", weight_column="w")
    assert data.inputs()["mean_weight"] == 3  # of what is trained on, the row without target apart
    assert torch.cat([graph.weight for graph in data.graphs]).tolist() == [2, 4, 0, 1.5]
    batch = next(iter(data.loader("train")))
    assert batch.weight.tolist() == [2, 4]
    again = data.for_model(data.inputs())
    again.setup()
    assert again.graphs[1].weight.tolist() == [4]
    other = data.for_model(data.inputs(), data.dataset.path)  # where it may be absent
    other.setup()
    assert "weight" not in other.graphs[0]


def test_a_transform_that_begins_anew_keeps_weights_and_bounds(table):
    def anew(data):
        return Data(x=data.x, edge_index=data.edge_index)

    rows = ("C,1,2,train", "CC,<2,4,train", "O,5,6,train", "CCC,3,1,val", "N,4,1.5,test")
    data = DataModule(
        table(*rows), split="given", split_column="part", weight_column="w", transform=anew
    )
    data.setup()
    assert [graph.weight.item() for graph in data.train_data] == [2, 4, 6]
    assert [graph.y_bounds[0, 0, 1].item() for graph in data.train_data] == [
        torch.inf,
        2,
        torch.inf,
    ]


def test_weights_of_other_items():
    graphs = [item(float(i), trust=torch.tensor([i / 10])) for i in range(30)]
    data = DataModule(graphs, weight_column="trust", transform=lambda data: data)
    data.setup()
    assert all(g.weight.item() == pytest.approx(g.y.item() / 10) for g in data.graphs)
    nodes = [item([1.0, 2.0 + i], trust=2) for i in range(30)]
    data = DataModule(nodes, weight_column="trust", level="node")
    data.setup()
    assert data.graphs[0].weight.tolist() == [2, 2]


def test_bad_weights_are_told_by_row(table):
    rows = ("C,1,-1,train", "CC,2,,train", "CCC,3,x,val", "N,4,inf,test", "O,5,1,train")
    data = DataModule(table(*rows), split="given", split_column="part", weight_column="w")
    with pytest.raises(ValueError, match=r"data\.weight_column=w: 4 rows have no number") as error:
        data.setup()
    for said in ("row 0 (row_0): '-1'", "row 1 (row_1): ''", "row 2 (row_2): 'x'", "row 3"):
        assert said in str(error.value)
    with pytest.raises(ValueError, match=r"no column 'v'.*weight_column"):
        DataModule(table(*ROWS), weight_column="v").setup()
    zero = [row.replace(",4,", ",0,").replace(",2,train", ",0,train") for row in ROWS]
    data = DataModule(table(*zero), split="given", split_column="part", weight_column="w")
    with pytest.raises(ValueError, match="weight_column is 0 throughout the training part"):
        data.setup()
    with pytest.raises(ValueError, match=r"data\.weight_column is about targets"):
        DataModule([], target_type="next_token", weight_column="w")


def test_balanced_batches_draw_all_classes_equally():
    data = imbalanced(balanced=True)
    loader = data.train_dataloader()
    drawn = Counter()
    for epoch in range(40):
        loader.batch_sampler.set_epoch(epoch)
        batches = list(loader)
        drawn.update(int(y) for batch in batches for y in batch.y)
        assert sum(batch.num_graphs for batch in batches) == len(data.train_data)
    assert 0.45 < drawn[1] / drawn.total() < 0.55
    plain = imbalanced().train_dataloader()
    share = sum(int(batch.y.sum()) for batch in plain) / len(plain.dataset)
    assert share < 0.15
    # Only training draws so, and every epoch anew, the same in a resumed run.
    assert [int(batch.y.sum()) for batch in data.loader("train")] == [
        int(batch.y.sum()) for batch in imbalanced().loader("train")
    ]
    first, again = ([batch.row.tolist() for batch in d.train_dataloader()]
                    for d in (data, imbalanced(balanced=True)))  # fmt: skip
    assert first == again
    loader = data.train_dataloader()
    loader.batch_sampler.set_epoch(1)
    assert [batch.row.tolist() for batch in loader] != first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_type": "regression"}, r"data\.balanced=true balances classes"),
        ({"batch_size": None, "tokens_per_batch": 90}, "give data.tokens_per_batch=null"),
    ],
)
def test_balanced_needs_classes_and_graphs(options, message):
    with pytest.raises(ValueError, match=message):
        imbalanced(balanced=True, **options)


def test_balanced_needs_one_target():
    graphs = [item([[i % 2, i % 3]]) for i in range(30)]
    data = DataModule(graphs, target_type="classification", balanced=True)
    with pytest.raises(ValueError, match=r"a graph has 2 targets: task\.class_weights"):
        data.setup()


def test_classes_are_not_balanced_twice():
    """What task.class_weights=balanced sees of batches that are balanced already."""
    (counts,) = imbalanced().inputs()["class_counts"]
    (drawn,) = imbalanced(balanced=True).inputs()["class_counts"]
    assert counts[0] > 5 * counts[1]
    assert drawn == [sum(counts) // 2] * 2
    assert drawn_equally([[9, 0, 1]]) == [[5, 0, 5]]


def test_a_class_of_one_row_is_told():
    notes = imbalanced(rare=1).summary()["notes"]
    assert notes == [
        "one row alone has the class '1' of 'y' (row 0): it cannot be both learned and measured; "
        "join it with another class, or leave the row out"
    ]
    assert imbalanced(rare=2).summary()["notes"] == []
    assert imbalanced().inputs()["class_counts"] == [
        [sum(int(g.y) == c for g in imbalanced().train_data) for c in (0, 1)]
    ]
