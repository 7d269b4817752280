"""Figures of what each layer's attention reads on a drawing of an item: a panel for each layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from torch import Tensor
from torch_geometric.data import Data

COLUMNS = 2  # panels side by side
HEADING = 0.5  # inches over all panels


def drawn_layers(graphs: Sequence[Data | None]) -> dict[int, Data]:
    """The graph of each layer that draws one, by its number from 1."""
    return {number: graph for number, graph in enumerate(graphs, 1) if graph is not None}


def strongest_edges(weight: Tensor, number: int) -> list[int]:
    """The places of the largest weights above 0, the largest first."""
    kept = weight.argsort(descending=True, stable=True)[:number]
    return kept[weight[kept] > 0].tolist()


@dataclass
class Panels:
    """A figure with a panel for each layer, and one scale of colours for all of them.

    Attributes:
        figure: the figure.
        axes: of each layer, by its number, titled with it.
        scale: of the weights that colours stand for, from 0 to the highest.
        colours: that stand for them.
    """

    figure: Figure
    axes: dict[int, Axes]
    scale: Normalize
    colours: Colormap

    @classmethod
    def of_layers(
        cls,
        layers: Sequence[int],
        size: tuple[float, float],
        weights: Sequence[Tensor | np.ndarray],
        colours: Colormap,
        *,
        aside: float,
    ) -> "Panels":
        """Empty panels.

        Args:
            layers (list of int): The numbers of the layers.
            size (tuple): Width and height of a panel, in inches.
            weights (list of arrays): All that colours stand for; together they give the scale.
            colours (Colormap): From the lowest to the highest.
            aside (float): Inches for the bar of colours.
        """
        columns = min(len(layers), COLUMNS)
        rows = -(-len(layers) // columns)
        whole = (columns * size[0] + aside, rows * size[1] + HEADING)
        figure = Figure(figsize=whole, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(layers) :]:
            axes.axis("off")
        axes = dict(zip(layers, grid.flat, strict=False))
        for number, one in axes.items():
            one.set_title(f"layer {number}", fontsize=9)
        highest = max([float(weight.max()) for weight in weights if len(weight)] + [1e-9])
        return cls(figure, axes, Normalize(0, highest), colours)

    def finish(self, title: str, label: str) -> Figure:
        """The figure, with its title and a bar that says what colours stand for."""
        bar = self.figure.colorbar(
            ScalarMappable(self.scale, self.colours), ax=self.figure.axes, shrink=0.6, pad=0.02
        )
        bar.set_label(label, fontsize=7)
        bar.ax.tick_params(labelsize=7)
        self.figure.suptitle(title, fontsize=10)
        return self.figure
