"""A part of the user's own: one class and at most one config, and nothing of gia is touched.

A dataset and a transform are in ``tests/data/test_any_dataset.py``, a task in
``tests/tasks/test_new_task.py``.
"""

import torch
from runs import peptides_fasta, small_run
from torch import nn
from torch_geometric.nn import MessagePassing

from gia.attention.sparsify import Selection
from gia.training import Run, load_trained


class EveryOther(Selection):
    """Edges from the node itself and every other one before it."""

    def keep(self, weight, pairs):
        away = pairs.target_position - pairs.source_position
        return (away % 2 == 0).expand(weight.shape)


class Halved(MessagePassing):
    """Half of what attention sends."""

    def __init__(self, in_channels, out_channels):
        super().__init__(aggr="add")
        self.lin = nn.Linear(in_channels, out_channels)

    def forward(self, x, edge_index, edge_weight):
        return self.propagate(edge_index, x=self.lin(x), edge_weight=edge_weight)

    def message(self, x_j, edge_weight):
        return x_j * edge_weight.view(-1, 1) / 2


def trained(folder, *settings):
    """A run with these settings, its model after training, and that of its checkpoint."""
    run = Run.from_config(small_run(folder / "run", peptides_fasta(folder), *settings))
    run.fit()
    best = folder / "run" / "checkpoints" / "best.ckpt"
    task, _ = load_trained(best, trust=__name__)
    for name, value in run.task.model.state_dict().items():
        assert torch.equal(value, task.model.state_dict()[name])
    batch = next(iter(run.datamodule.test_dataloader()))
    return task.model, batch


def test_a_sparsifier_is_a_class_and_a_config(tmp_path):
    (tmp_path / "conf" / "sparsify").mkdir(parents=True)
    config = tmp_path / "conf" / "sparsify" / "every_other.yaml"
    config.write_text(f"_target_: {__name__}.EveryOther\nweighting: renormalize\n")
    where = f"hydra.searchpath=[file://{tmp_path}/conf]"
    model, batch = trained(tmp_path, where, "sparsify=every_other")
    for graph in model.graphs(batch):
        source, target = graph.edge_index
        assert source.numel() > 0
        assert ((target - source) % 2 == 0).all()


def test_a_conv_is_a_class(tmp_path):
    model, _ = trained(tmp_path, "attention=pyg", f"attention.conv._target_={__name__}.Halved")
    assert any(isinstance(module, Halved) for module in model.modules())
