"""Draw where an adapter acts in a decoder layer, and the graphs that it reads in a real model.

    python docs/draw_sparse_gin.py HuggingFaceTB/SmolLM2-135M

takes a decoder of Hugging Face's, by its name or from a folder, and writes
docs/images/sparse_gin.png. Nothing is trained: the graphs are there before.
"""

import argparse
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from PIL import Image
from torch_geometric.data import Data
from transformers import AutoModelForCausalLM, AutoTokenizer

from gia import adapters

PICTURE = Path(__file__).parent / "images" / "sparse_gin.png"
SENTENCE = "Tom lost his red ball in the park, but a big dog found it for him."
# What is drawn of the layer: a title, and the options of an adapter.
CHOICES = {
    "published": {},
    "top_k=2, sinks=1": {"top_k": 2, "sinks": 1},
}
INK, FROZEN, TRAINED = "#2b2f36", "#e9ebee", "#fbe3d2"
ORANGE, BLUE, GREY = "#d9651e", "#2c6fbb", "#aab0b8"


def box(axes: Axes, x: float, y: float, width: float, height: float, text: str, **style) -> None:
    """A box around its middle."""
    style = {"facecolor": FROZEN, "edgecolor": INK, "linewidth": 1.0} | style
    shape = "round,pad=0,rounding_size=0.12"
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=shape, zorder=3, **style))
    axes.text(x, y, text, ha="center", va="center", fontsize=9.5, color=INK, zorder=4)


def arrow(axes: Axes, points: list[tuple[float, float]], color: str = INK, **style) -> None:
    """A line along some points that ends in a head."""
    xs, ys = zip(*points, strict=True)
    line = {"color": color, "linewidth": 1.2, "zorder": 2} | style
    axes.plot(xs[:-1], ys[:-1], **line, solid_joinstyle="round")
    head = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(points[-2], points[-1], **head, **line))


def plus(axes: Axes, x: float, y: float, color: str = INK) -> None:
    axes.add_patch(Circle((x, y), 0.17, facecolor="white", edgecolor=color, lw=1.2, zorder=4))
    axes.text(x, y - 0.01, "+", ha="center", va="center", fontsize=11, color=color, zorder=5)


def draw_layer(axes: Axes) -> None:
    """A pre-norm decoder layer with both places of an adapter, from below to above."""
    stream, branch, adapter = 0.0, 1.9, 4.9
    axes.set(xlim=(-0.7, 6.9), ylim=(-0.35, 12.0), aspect="equal")
    axes.axis("off")
    axes.set_title("Where an adapter acts", fontsize=13, color=INK, pad=6)

    arrow(axes, [(stream, 0.0), (stream, 11.6)], linewidth=1.8)
    axes.text(stream + 0.2, 0.02, "layer input", fontsize=9, color=INK, va="center")
    for start, end, name in ((0.5, 3.6, "attention"), (6.1, 9.2, "MLP")):
        arrow(axes, [(stream, start), (branch, start), (branch, start + 0.4)])
        box(axes, branch, start + 0.75, 2.1, 0.62, "norm")
        arrow(axes, [(branch, start + 1.06), (branch, start + 1.5)])
        box(axes, branch, start + 1.85, 2.1, 0.7, name)
        arrow(axes, [(branch, start + 2.2), (branch, end), (stream + 0.17, end)])
        plus(axes, stream, end)

    for low, name, line in ((4.3, "before_mlp", "-"), (9.9, "after_mlp", (0, (3, 2)))):
        high, middle = low + 1.25, low + 0.625
        style = {"linestyle": line, "edgecolor": ORANGE, "facecolor": TRAINED, "linewidth": 1.4}
        arrow(axes, [(stream, low), (adapter - 1.75, low)], ORANGE, linestyle=line)
        text = (
            "$\\mathbf{u} = W_{in}\\,\\mathbf{h}$\n"
            "$\\mathbf{z}$ = GIN of $\\mathbf{u}$ along $A'$\n"
            "$\\Delta\\mathbf{h} = \\lambda\\,\\mathrm{RMSNorm}(W_{out}\\,\\mathbf{z})$"
        )
        text = text if line == "-" else "or the same here,\nat the layer's output"
        box(axes, adapter, middle, 3.5, 1.75, text, **style)
        arrow(axes, [(adapter - 1.75, high), (stream + 0.17, high)], ORANGE, linestyle=line)
        plus(axes, stream, high, ORANGE)
        axes.text(
            adapter, middle + 1.0, f'position="{name}"', ha="center", va="bottom",
            fontsize=9.5, color=ORANGE, family="monospace",
        )  # fmt: skip
    axes.text(
        adapter + 0.15, 1.95,
        "queries, keys $\\rightarrow A$\n$A' = \\sigma(\\alpha(\\Sigma_h A_h - t))$\n"
        "edges where $A' > \\mathrm{cut}$",
        ha="center", va="center", fontsize=9.5, color=BLUE, linespacing=1.5,
    )  # fmt: skip
    arrow(axes, [(branch + 1.05, 2.35), (3.35, 2.35)], BLUE)
    arrow(axes, [(adapter, 2.75), (adapter, 4.05)], BLUE)


def draw_graph(axes: Axes, graph: Data, labels: list[str], title: str) -> None:
    """Arcs over a line of tokens, from a source to a target at their right."""
    axes.set_title(title, fontsize=11.5, color=INK, loc="left", pad=2)
    source, target = graph.edge_index.numpy()
    weight = graph.edge_weight.numpy()
    half = np.linspace(0, np.pi, 80)
    for i, j, w in sorted(zip(target, source, weight, strict=True), key=lambda edge: edge[2]):
        if i == j:
            continue
        middle, radius = (i + j) / 2, (i - j) / 2
        strength = float(np.clip((w - 0.6) / 0.4, 0, 1)) ** 2
        axes.plot(
            middle - radius * np.cos(half), (i - j) ** 0.8 * np.sin(half) + 0.35,
            color=GREY if j == 0 else colormaps["Blues"](0.4 + 0.55 * strength),
            linewidth=0.6 + 1.6 * strength, zorder=1 if j == 0 else 2 + strength,
            solid_capstyle="butt",
        )  # fmt: skip
    looped = {int(i) for i, j in zip(target, source, strict=True) if i == j}
    for place, label in enumerate(labels):
        axes.plot(
            place, 0, "o", markersize=8.5, markeredgewidth=1.2, zorder=5,
            markerfacecolor=BLUE if place in looped else "white",
            markeredgecolor=BLUE,
        )  # fmt: skip
        axes.text(
            place, -0.55, label, ha="center", va="top", fontsize=11, color=INK,
        )  # fmt: skip
    axes.set(xlim=(-0.6, len(labels) - 0.4), ylim=(-1.6, (len(labels) - 1) ** 0.8 + 0.6))
    axes.axis("off")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or folder of a decoder with its tokenizer")
    parser.add_argument("--layer", type=int, default=2, help="which layer's graph, from 0")
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model).eval()
    ids = tokenizer(SENTENCE, return_tensors="pt")["input_ids"]
    names = tokenizer.convert_ids_to_tokens(ids[0].tolist())
    labels = [name.strip("▁Ġ") or name for name in names]

    figure = plt.figure(figsize=(13.2, 7.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.75])
    draw_layer(left.subplots())
    layers = model.config.num_hidden_layers
    right.suptitle(
        f"What it reads: the attention of layer {arguments.layer + 1} of {layers} as a graph",
        fontsize=13, color=INK,
    )  # fmt: skip
    for axes, (choice, options) in zip(right.subplots(2), CHOICES.items(), strict=True):
        adapters.add(model, adapters.SparseGINConfig.published(**options, layers=[arguments.layer]))
        graph = adapters.graphs(model, ids)[0][0]
        adapters.remove(model)
        pairs = graph.num_nodes * (graph.num_nodes + 1) // 2
        title = f"{choice}: {graph.num_edges} of {pairs} pairs are edges"
        draw_graph(axes, graph, labels, title)
    right.supxlabel(
        "From source (left) to target (right), stronger where the weight is higher; "
        "grey: from the first token; filled: with a self loop",
        fontsize=9.5, color=INK,
    )  # fmt: skip
    with io.BytesIO() as buffer:
        figure.savefig(buffer, dpi=130)
        colours = Image.open(buffer).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
        colours.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
