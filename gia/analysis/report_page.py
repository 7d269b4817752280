"""An inspection as one page for a browser, which needs nothing beside it."""

import base64
import json
import math
import zlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from gia.analysis.inspection import Inspection, measure_rows
from gia.analysis.inspection_figures import darkest

MEAN = 0  # the number of the mean over the heads of a layer; as a layer's, all of them together
MOST_BYTES = 3_500_000  # of all matrices in the page, which with pictures stays under 5 MB
LEVELS = (255, 51, 15)  # of weights, of which the finest is taken that the page has room for
MARK = "GIA_REPORT_DATA"
MEANINGS = {
    "density": "edges over ordered pairs of different nodes",
    "entropy": "of what a node reads, in nats, mean over nodes",
    "self_loops": "the share that a node reads of itself",
    "strongest_sink": "the share of all reading that the most read node gets of others",
    "distance": "between a node and what it reads: places, or steps along the data's edges",
    "reciprocity": "the share of the weight that is returned",
    "clustering": "weighted clustering coefficient of the undirected graph",
    "spectral_gap": "second smallest eigenvalue of the normalised Laplacian",
    "small_world": "clustering over a random graph's, over path length over a random graph's",
    "agreement": "area under the ROC curve for the data's own edges; 0.5 is chance",
}


def report_page(found: Inspection, *, title: str, pictures: Sequence[Path] = ()) -> str:
    """A page with every head's matrix, which says the weight of what is pointed at.

    It shows layers and heads side by side on one scale for each layer, what a chosen node reads,
    and the measures, light or dark as the reader's system is. ``#layer=2&head=1&target=5&source=3``
    behind its address opens it there.

    Args:
        found (Inspection): What is shown. Where all heads would make the page too large, the mean
            over the heads of each layer alone is, and the page says so.
        title (str): Over the page.
        pictures (list of Path): PNGs that are shown below.
    """
    about = f"{len(found.labels):,} nodes. A row is the node that reads, a column the one read."
    for levels in LEVELS:
        layers = _layers(found, levels)
        if sum(len(layer["maps"]) for layer in layers) <= MOST_BYTES:
            break
    else:
        layers = _layers(found, LEVELS[0], mean_alone=True)
        about += " All heads are too much for one page: choose some with layers= and heads=."
    columns, rows = measure_rows(found.measures)
    known = [at for at in range(len(columns)) if not all(math.isnan(row[at]) for row in rows)]
    data = {
        "title": title,
        "about": about,
        "labels": found.labels,
        "layers": layers,
        "columns": [
            {"name": columns[at].replace("_", " "), "text": MEANINGS.get(columns[at], "")}
            for at in known
        ],
        "rows": [[None if math.isnan(row[at]) else row[at] for at in known] for row in rows],
        "pictures": [{"name": path.stem, "source": _embedded(path)} for path in pictures],
    }
    page = files("gia.analysis").joinpath("report_page.html").read_text(encoding="utf-8")
    # Within a script nothing may look like its end, or like the beginning of a comment.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return page.replace(MARK, text)


def _layers(found: Inspection, levels: int, *, mean_alone: bool = False) -> list[dict]:
    """Of each layer the mean of its heads and the heads, and last what is read through all."""
    layers = []
    for number, weight in found.weights.items():
        heads = [] if mean_alone else found.heads[number]
        matrices = [weight.mean(0, keepdims=True), *([] if mean_alone else [weight])]
        layers.append(_layer(number, [MEAN, *heads], np.concatenate(matrices), levels))
    return [*layers, _layer(MEAN, [MEAN], found.effective[None], levels)]


def _layer(number: int, heads: Sequence[int], weight: np.ndarray, levels: int) -> dict:
    """Matrices as the page reads them: a byte is the root of a weight over the layer's largest."""
    size = np.abs(weight)
    most = float(size.max()) or 1.0
    signed = bool((weight < 0).any())
    root = np.sign(weight) * np.sqrt(size / most)
    coarse = np.rint(levels * root) / levels
    bytes_ = np.rint(128 + 127 * coarse if signed else 255 * coarse).astype(np.uint8)
    packed = base64.b64encode(zlib.compress(bytes_.tobytes())).decode()
    return {
        "number": number,
        "heads": list(heads),
        "most": most,
        "darkest": darkest(weight),
        "signed": signed,
        "maps": packed,
    }


def _embedded(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
