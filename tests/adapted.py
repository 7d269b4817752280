"""Small decoders with adapters of every kind, which say something."""

import torch
from decoders import decoder
from torch import nn

import gia.adapters as adapters
from gia.adapters import GraphLoRAConfig, SparseGINConfig

# What an adapter of each kind is like where a test says nothing else.
SETTINGS = {
    "sparse_gin": (SparseGINConfig.published, {"channels": 4, "scale": 0.5}),
    "graph_lora": (GraphLoRAConfig, {"r": 2}),
}


def make_config(adapter, **settings):
    kind, own = SETTINGS[adapter]
    return kind(**own | settings)


def stir(model: nn.Module, name: str = "default") -> None:
    """Give a new Graph-LoRA adapter, which starts at 0, numbers of its own."""
    generator = torch.Generator().manual_seed(3)
    for parameter in adapters.parameters(model, name):
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.data.copy_(0.3 * drawn)


def adapted(kind, adapter="sparse_gin", name="default", **settings):
    """A decoder in double precision whose adapter says something."""
    model = decoder(kind).double()
    adapters.add(model, make_config(adapter, **settings), name)
    if adapter == "graph_lora":
        stir(model, name)
    return model
