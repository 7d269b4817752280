"""Draw one attention under every scope, score, normaliser and sparsifier.

    python docs/draw_graphs.py

trains a small GIN model on the peptides for about a minute and writes docs/images/graph_modes.png.
Queries and keys of one trained head are those of every picture; nothing is trained anew for a mode.
"""

import io
import tempfile
from pathlib import Path

import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor
from torch_geometric.data import Data

from gia.analysis import graph_matrices
from gia.attention import (
    AttentionAdjacency,
    CausalScope,
    FullScope,
    InputGraph,
    NeighborScope,
    Scope,
    WindowScope,
)
from gia.attention.sparsify import Chain, DropSinks, Threshold, TopK
from gia.training import Run

PICTURE = Path(__file__).parent / "images" / "graph_modes.png"
LAYER, HEAD, LENGTH = 2, 2, 24

PLAIN, FULL, WINDOW = (
    "the default:\ncausal, softmax",
    "in Python:\nFullScope",
    "scope=window\nwindow=4",
)
GIVEN, CHAIN = "in Python:\nGivenScope", "in Python:\nChain"
SELECTIONS = ["top_k", "scaled_top_k", "min_weight", "binary", "window", "drop_sinks"]
FUNCTIONS = ["relu", "silu", "softplus", "sharp_softplus", "sigmoid", "flow", "silu_plus_binary"]
FUNCTIONS += [f"{below}_below_binary_above" for below in ("relu", "silu", "softplus")]
NORMALISERS = ["relu", "uniform", "differential", "differential_norm"]

# Name in the picture: options of the configuration.
MODES = {
    PLAIN: [],
    FULL: [],
    WINDOW: [],
    GIVEN: [],
    "given=\nadded": ["given=added"],
    "hops=2\n": ["adjacency.hops=2"],
    **{f"score=\n{name}": [f"score={name}"] for name in ("distance", "constant")},
    **{f"normalize=\n{name}": [f"normalize={name}"] for name in NORMALISERS},
    **{f"sparsify=\n{name}": [f"sparsify={name}"] for name in [*SELECTIONS, "random_edges"]},
    CHAIN: [],
    **{f"sparsify=\n{name}": [f"sparsify={name}"] for name in FUNCTIONS},
}


def config(*overrides: str) -> DictConfig:
    with initialize_config_module("gia.conf", version_base="1.3"):
        return compose("train", overrides=["name=graphs", "run_dir=unused", *overrides])


def train() -> Run:
    """A GIN model with the default graph, from a fixed seed."""
    quiet = ["logger.tensorboard=null", "callbacks.progress_bar=null"]
    with tempfile.TemporaryDirectory() as folder:
        run = Run.from_config(config("trainer.max_epochs=6", f"run_dir={folder}", *quiet))
        run.fit()
    run.task.eval()
    return run


def what_it_sees(run: Run, data: Data) -> tuple[Tensor, Scope, Tensor]:
    """Features, scope and angles that a layer's attention is given for a sequence."""
    seen = []
    adjacency = run.task.model.blocks[LAYER].attention.adjacency
    hook = adjacency.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    with torch.no_grad():
        run.task.model(data)
    hook.remove()
    x, scope, rotary, _ = seen[0]
    return x, scope, rotary


def with_trained_weights(overrides: list[str], trained: AttentionAdjacency) -> AttentionAdjacency:
    """An adjacency of the configuration with the queries and keys of a trained one."""
    adjacency = instantiate(config(*overrides).adjacency)
    score = getattr(adjacency.score, "score", adjacency.score)
    weights = trained.score.state_dict()
    if adjacency.normalize.maps == 2:  # the second map of a head is the next head's
        heads = trained.score.heads
        for name, weight in weights.items():
            apart = weight.unflatten(0, (heads, -1))
            weights[name] = torch.cat([apart, apart.roll(-1, 0)]).flatten(0, 1)
    if score.state_dict():
        score.load_state_dict(weights)
    softmax = getattr(adjacency.normalize, "softmax", adjacency.normalize)
    if hasattr(softmax, "sharpening"):
        softmax.load_state_dict(trained.normalize.state_dict())
    return adjacency


def helix(length: int) -> InputGraph:
    """The contacts of an alpha helix: each residue with the third and fourth after it."""
    pairs = [(i, i + step) for step in (3, 4) for i in range(1, length - step)]
    edge_index = torch.tensor(pairs).T
    return InputGraph(torch.cat([edge_index, edge_index.flip(0)], dim=1))


@torch.no_grad()
def graphs(run: Run, data: Data) -> dict[str, Data]:
    """The graph of each mode, of one head."""
    x, causal, rotary = what_it_sees(run, data)
    trained = run.task.model.blocks[LAYER].attention.adjacency
    ptr, contacts = causal.ptr, helix(data.num_nodes)
    scopes = {
        FULL: FullScope(ptr),
        WINDOW: WindowScope(ptr, window=4),
        GIVEN: NeighborScope(ptr, given=contacts),
        "given=\nadded": CausalScope(ptr, given=contacts),
    }
    found = {}
    for name, overrides in MODES.items():
        adjacency = with_trained_weights(overrides, trained)
        if name == CHAIN:
            adjacency.sparsify = Chain([Threshold(0.02), DropSinks(1), TopK(3)])
        edges = adjacency(x, scopes.get(name, causal), rotary).to_edges().of_heads()
        edges = edges.select(edges.head == HEAD)
        found[name] = Data(
            edge_index=edges.edge_index, edge_weight=edges.edge_weight, num_nodes=data.num_nodes
        )
    return found


def main() -> None:
    run = train()
    torch.manual_seed(0)  # of the random edges
    data = next(graph for graph in run.datamodule.test_data if graph.num_nodes == LENGTH)
    labels = [run.datamodule.tokenizer.symbols[token] for token in data.token.tolist()]
    labels = ["·" if label.startswith("<") else label for label in labels]
    title = (
        f"One head (layer {LAYER + 1}, head {HEAD + 1}) of a trained GIN model reading a test "
        f"peptide, {data.text}, under every mode"
    )
    figure = graph_matrices(graphs(run, data), labels, title)
    with io.BytesIO() as buffer:
        figure.savefig(buffer, dpi=140)
        colours = Image.open(buffer).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
        colours.save(PICTURE, optimize=True)  # a third of the size


if __name__ == "__main__":
    main()
