"""Our layers and PyG's, side by side, and hooks to look into them."""

import torch
from laws import outputs_and_gradients
from torch import nn
from torch_geometric.nn import GINConv as PyGGINConv
from torch_geometric.nn import GINEConv as PyGGINEConv
from torch_geometric.nn import PNAConv as PyGPNAConv

from gia.nn import GINConv, GINEConv, PNAConv, WeightedSumConv

NODES, CHANNELS, EDGES = 12, 8, 40
AGGREGATORS = ["sum", "mean", "min", "max", "var", "std"]
SCALERS = ["identity", "amplification", "attenuation", "linear", "inverse_linear"]
DEG = torch.tensor([1, 3, 4, 4, 2])
STEPS = ["propagate", "message", "aggregate", "message_and_aggregate"]


def gin(layer=GINConv, **kwargs):
    return layer(nn.Sequential(nn.Linear(CHANNELS, 6), nn.Tanh()), 0.3, True, **kwargs)


def gine(layer=GINEConv, **kwargs):
    return gin(layer, edge_dim=3, **kwargs)


def pna(layer=PNAConv, aggregators=AGGREGATORS, **kwargs):
    return layer(CHANNELS, 6, aggregators, SCALERS, DEG, **kwargs)


def bare_pna(**kwargs):
    return pna(towers=2, divide_input=True, pre_layers=0, **kwargs)


PAIRS = {
    "gin": (gin, GINConv, PyGGINConv),
    "gine": (gine, GINEConv, PyGGINEConv),
    "pna": (pna, PNAConv, PyGPNAConv),
}


def pair_of(name, **kwargs):
    make, ours, theirs = PAIRS[name]
    ours, theirs = make(ours, **kwargs), make(theirs, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def attributes(name, edges):
    return (torch.randn(edges.size(1), 3),) if name == "gine" else ()


def hook_everywhere(conv, called, steps=STEPS):
    """Count the calls of hooks before and after each step; they change nothing."""
    handles = []
    for step in steps:
        for when in ("forward_pre_hook", "forward_hook"):

            def hook(module, inputs, out=None, key=(step, when)):
                assert module is conv
                called.append((key, sorted(inputs[-1])))
                return out

            handles.append(getattr(conv, f"register_{step}_{when}")(hook))
    return handles


def plain_and_hooked(conv, x, call):
    """Outputs and gradients without hooks and with them."""
    plain = outputs_and_gradients(conv, x, call)
    called = []
    handles = hook_everywhere(conv, called)
    hooked = outputs_and_gradients(conv, x, call)
    for handle in handles:
        handle.remove()
    assert called
    return plain, hooked


LAYERS = {f"gin {aggr}": (lambda aggr=aggr, **k: gin(aggr=aggr, **k)) for aggr in AGGREGATORS} | {
    "gin two heads": lambda **k: gin(heads=2, **k),
    "gine": lambda **k: gine(**k),
    "pna": lambda **k: pna(towers=2, **k),
    "pna without pre-layers": bare_pna,
    "pna of tokens": lambda **k: bare_pna(aggregators=["token_max", "mean", "token_min"], **k),
    "pna with a node's own": lambda **k: bare_pna(aggregators=["own", "sum", "max"], **k),
    "pna that counts": lambda **k: bare_pna(degree="count", **k),
    "sum": lambda **k: WeightedSumConv(2, **k),
}
