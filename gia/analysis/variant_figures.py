"""Scores of all single mutants of a sequence, as a heat map."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

PLACES = 60  # residues of a line
MOST_PLACES = 1200  # of a picture, to be readable
UNKNOWN = "lightgrey"


def variant_heat_map(scores: Tensor, sequence: Sequence[str], letters: Sequence[str]) -> Figure:
    """A line for each 60 residues: red where another residue is likelier, blue where it is not, a
    point at the sequence's own.

    Args:
        scores (Tensor): Log likelihood ratios in nats, NaN where none is known, ``[L, A]``.
        sequence (list of str): The letters of the sequence, ``[L]``; beyond 1,200 it is cut.
        letters (list of str): What a residue becomes, ``[A]``.
    """
    values = scores[:MOST_PLACES].double().numpy()
    number, lines = len(values), -(-len(values) // PLACES)
    known = np.abs(values[np.isfinite(values)])
    end = max(float(np.quantile(known, 0.98)), 1e-9) if known.size else 1.0
    colours = colormaps["RdBu_r"].copy()
    colours.set_bad(UNKNOWN)
    height = 0.16 * len(letters) + 0.45
    figure = Figure(figsize=(11, height * lines + 0.3), layout="constrained")
    grid = figure.subplots(lines, 1, squeeze=False)[:, 0]
    for line, axes in enumerate(grid):
        first = line * PLACES
        part = values[first : first + PLACES]
        image = axes.imshow(part.T, cmap=colours, vmin=-end, vmax=end, aspect="auto")
        own = [
            (place, letters.index(letter))
            for place, letter in enumerate(sequence[first : first + len(part)])
            if letter in letters
        ]
        if own:
            axes.plot(*zip(*own, strict=True), ".", color="black", markersize=2.5)
        axes.set_xlim(-0.5, min(number, PLACES) - 0.5)
        axes.set_yticks(range(len(letters)), letters, fontsize=6)
        places = range(len(part))
        labels = [
            f"{letter}\n{first + place + 1}" if (first + place + 1) % 10 == 0 else letter
            for place, letter in zip(places, sequence[first:], strict=False)
        ]
        axes.set_xticks(places, labels, fontsize=6)
        axes.tick_params(length=0)
    figure.colorbar(
        image, ax=list(grid), shrink=0.8 / lines**0.5, label="log likelihood ratio (nats)"
    )
    if number < len(scores):
        grid[0].set_title(f"the first {number:,} of {len(scores):,} residues", fontsize=8)
    return figure
