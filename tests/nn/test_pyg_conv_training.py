"""PyG's layers over attention learn from real peptides and real melting points."""

import itertools

import pytest
import torch
from hydra.utils import instantiate
from laws import law_4_causality
from runs import compose_config
from torch_geometric.data import Batch

from gia.tasks.task import parameter_groups
from gia.training import resolve_model

CONVS = ["GCNConv", "GraphConv", "SAGEConv", "GATv2Conv", "TransformerConv", "GINEConv"]
SMALL = ["model.width=32", "model.heads=2", "model.depth=2", "model.dropout=0", "mlp.hidden=32"]
STEPS = 25


@pytest.fixture(scope="module")
def read():
    """A datamodule of a data set, read once, and some of its training batches."""
    known = {}

    def once(name):
        if name not in known:
            cfg = compose_config("name=t", "run_dir=x", f"data={name}")
            data = instantiate(cfg.data)
            data.setup()
            known[name] = data, list(itertools.islice(data.train_dataloader(), 5))
        return known[name]

    return once


def trained(data, batches, loss_of, *overrides):
    """A small model after some steps, and its mean losses on the first and the last batches."""
    cfg = compose_config("name=t", "run_dir=x", *SMALL, *overrides)
    torch.manual_seed(0)
    model = instantiate(resolve_model(cfg, data.inputs()))
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=5e-3)
    losses = []
    for batch in itertools.islice(itertools.cycle(batches), STEPS):
        optimizer.zero_grad()
        loss = loss_of(model(batch), batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, sum(losses[:5]) / 5, sum(losses[-5:]) / 5


@pytest.mark.parametrize("sparsify", ["none", "top_k"])
@pytest.mark.parametrize("conv", CONVS)
def test_a_language_of_peptides_without_a_leak(conv, sparsify, read):
    data, batches = read("peptides")
    model, first, last = trained(
        data,
        batches,
        lambda out, batch: torch.nn.functional.cross_entropy(out, batch.y),
        *("data=peptides", "attention=pyg", f"sparsify={sparsify}"),
        f"attention.conv._target_=torch_geometric.nn.{conv}",
        "model.match_parameters_of=null",
    )
    assert last < first - 0.1
    peptides = Batch.to_data_list(batches[0])
    shortest = min(peptides, key=lambda graph: graph.num_nodes)
    law_4_causality(model.double().eval(), shortest, vocab_size=data.inputs()["vocab_size"])


@pytest.mark.slow  # reading the compounds takes most of it
@pytest.mark.parametrize(
    "choice",
    [
        *(f"attention=pyg attention.conv._target_=torch_geometric.nn.{conv}" for conv in CONVS),
        "model=mixed",
    ],
)
def test_melting_points(choice, read):
    data, batches = read("melting_point")
    mean, std = (torch.tensor(data.inputs()[key]) for key in ("target_mean", "target_std"))
    _, first, last = trained(
        data,
        batches,
        lambda out, batch: (out - (batch.y - mean) / std).square().mean(),
        *("data=melting_point", *choice.split()),
    )
    assert last < 0.8 * first
