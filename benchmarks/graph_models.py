"""The graph models that are compared: gia's and PyG's layers, on the melting points."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn
from torch.nn.functional import mse_loss
from torch_geometric.data import Batch

from gia.data import DataModule
from gia.training import resolve_model

# What each of them is, beside the data's defaults.
MODELS = {
    "gin": ["attention=gin", "score=edge_attr"],
    "gin_hops": ["attention=gin"],  # as the defaults have it, and so pna and softmax
    "pna": ["attention=pna"],
    "softmax": ["attention=softmax"],
    "gps": ["model=gps"],
    "gine": ["model=gine"],
    "pyg_pna": ["model=pna"],
    "transformer_conv": ["model=transformer_conv"],
}
PEER = "gps"
SIZE = ["model.width=64", "model.depth=4"]  # equal for all, whatever the defaults are


@dataclass(frozen=True)
class Case:
    """A model of so many parameters, and the first so many batches of an epoch (None: all)."""

    model: str
    parameters: int
    batch_size: int
    batches: int | None


def epoch(case: Case) -> Callable[[], None]:
    """Build a model, and return the call that trains it for an epoch, the batches made anew."""
    data = melting_points(case.batch_size)
    cfg = configuration(case)
    torch.manual_seed(0)
    model: nn.Module = instantiate(resolve_model(cfg, data.inputs())).train()
    optimizer = instantiate(cfg.optimizer)(model.parameters())
    mean, std = (torch.tensor(data.inputs()[key]) for key in ("target_mean", "target_std"))

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        mse_loss(model(batch), (batch.y - mean) / std).backward()
        optimizer.step()

    def call() -> None:
        for number, batch in enumerate(data.loader("train")):
            if number == case.batches:
                break
            step(batch)

    return call


@cache
def melting_points(batch_size: int) -> DataModule:
    """The melting points, of which every model gets the same batches."""
    cfg = _compose(["data=melting_point", f"data.batch_size={batch_size}"])
    data = instantiate(cfg.data)
    data.setup()
    return data


def configuration(case: Case) -> DictConfig:
    """What ``gia train`` would compose for a case."""
    parameters = f"model.num_parameters={case.parameters}"
    return _compose(["data=melting_point", *MODELS[case.model], *SIZE, parameters])


def _compose(overrides: list[str]) -> DictConfig:
    # Layers are compared: descriptors beside the graph are the same for all, and long to compute.
    overrides = ["data.features=null", *overrides]
    with initialize_config_module("gia.conf", version_base="1.3"):
        return compose("train", overrides=["name=benchmark", "run_dir=unused", *overrides])
