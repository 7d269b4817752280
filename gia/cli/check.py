"""``gia check``: whether a model keeps the laws of graphs and sequences."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gia.cli.command import check_numbers, command

if TYPE_CHECKING:  # --help needs no heavy library
    from torch import nn
    from torch_geometric.data import Data

console = Console(markup=False, emoji=False, highlight=False)
SIZES = (7, 12, 5, 9)  # nodes of the graphs that a module of one's own is given
DENSITY = 0.4  # of their edges


@command("check")
def check(cfg: DictConfig) -> None:
    """Measure the laws on a trained model, on one as it is configured, or on a module."""
    from rich.table import Table

    from gia.analysis.laws import check_laws

    check_numbers(cfg, graphs=2, max_nodes=2, channels=1)
    if cfg.module._target_ is not None and cfg.ckpt_path is not None:
        raise ValueError("give either ckpt_path= or module=, not both")
    if cfg.module._target_ is not None:
        model, graphs, causal = _module(cfg)
    elif cfg.ckpt_path is not None:
        model, graphs, causal = _trained(cfg)
    else:
        model, graphs, causal = _configured(cfg)
    causal = causal if cfg.causal is None else cfg.causal
    sizes = ", ".join(str(data.num_nodes) for data in graphs)
    console.print(f"  {type(model).__name__} on graphs of {sizes} nodes", soft_wrap=True)
    found = check_laws(model, graphs, causal=causal, tolerance=cfg.tolerance, seed=cfg.seed)
    table = Table()
    table.add_column("law")
    table.add_column("")
    table.add_column("largest difference", justify="right")
    table.add_column("where, or why not", overflow="fold")
    for one in found:
        said = {True: "holds", False: "BROKEN", None: "-"}[one.held]
        worst = f"{one.worst:.2g}" if one.worst == one.worst else ""
        table.add_row(one.law, said, worst, one.detail)
    console.print(table)
    broken = [one.law for one in found if one.held is False]
    if broken:
        console.print(f"broken: {', '.join(broken)}", style="bold")
        sys.exit(1)
    console.print(f"{sum(one.held is True for one in found)} laws hold", style="bold")


def _trained(cfg: DictConfig) -> tuple[nn.Module, list[Data], bool]:
    from gia.nn import Ensemble
    from gia.training import load_trained, trained_data

    task, trained = load_trained(cfg.ckpt_path, trust=cfg.trust)
    model, data = task.model, trained_data(trained)
    if isinstance(model, Ensemble):  # a blend's first one is the network
        console.print("  of several models that are asked together it is the first")
        model = model.members[0]
    return model, _some(data.test_data, cfg), _is_causal(model)


def _configured(cfg: DictConfig) -> tuple[nn.Module, list[Data], bool]:
    import pytorch_lightning as pl
    from hydra.utils import instantiate

    from gia.training import resolve_model

    pl.seed_everything(cfg.seed, verbose=False)
    data = instantiate(cfg.data)
    data.setup()
    model = _stirred(instantiate(resolve_model(cfg, data.inputs())))
    return model, _some(data.train_data, cfg), _is_causal(model)


def _module(cfg: DictConfig) -> tuple[nn.Module, list[Data], bool]:
    """A module as the user builds it, and graphs drawn at random."""
    import torch
    from hydra.utils import instantiate
    from torch import nn
    from torch_geometric.data import Data
    from torch_geometric.utils import erdos_renyi_graph

    torch.manual_seed(cfg.seed)
    sys.path.append(os.getcwd())  # a module of one's own lies where one works
    module = instantiate(OmegaConf.to_container(cfg.module, resolve=True))
    if not isinstance(module, nn.Module):
        kind = type(module).__name__
        raise ValueError(f"module._target_={cfg.module._target_} makes a {kind}, no nn.Module")
    graphs = []
    for size in SIZES[: max(2, cfg.graphs)]:
        edge_index = erdos_renyi_graph(size, DENSITY)
        graphs.append(
            Data(
                x=torch.randn(size, cfg.channels),
                edge_index=edge_index,
                edge_attr=torch.randn(edge_index.size(1), cfg.channels),
                pos=torch.randn(size, 3),
            )
        )
    return _stirred(module), graphs, False


def _stirred(model: nn.Module) -> nn.Module:
    """Parameters moved at random: what starts at 0 would hide what it multiplies."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def _some(items: Sequence[Data], cfg: DictConfig) -> list[Data]:
    """Some from the smallest of two nodes to the largest that is looked at, evenly by size."""
    small = [data for data in items if 2 <= data.num_nodes <= cfg.max_nodes]
    if len(small) < 2:
        raise ValueError(
            f"two items of 2 to {cfg.max_nodes} nodes (max_nodes) are needed, but there are "
            f"{len(small)}"
        )
    small.sort(key=lambda data: data.num_nodes)
    number = min(cfg.graphs, len(small))
    return [small[round(k * (len(small) - 1) / (number - 1))] for k in range(number)]


def _is_causal(model: nn.Module) -> bool:
    """Whether all that a model's attention may see is earlier."""
    from functools import partial

    scope = getattr(model, "scope", None)
    scope = scope.func if isinstance(scope, partial) else scope
    return getattr(scope, "causal", False) is True
