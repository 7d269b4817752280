"""The choices that make a Sparse-GIN adapter, in one place that is saved with it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gia.adapters.adapter_config import AdapterConfig

_LEAST = 1e-300


@dataclass(frozen=True)
class SparseGINConfig(AdapterConfig):
    r"""How the attention of a frozen language model becomes a graph, and what passes along it.

    The defaults are the published setting of Sparse-GIN in `"Graph-Aware Isomorphic Attention"
    <https://arxiv.org/abs/2501.02393>`_, with two exceptions: messages do pass between tokens, and
    a new adapter changes nothing. In each layer, with the layer's own attention of the heads h:

    .. math::
        A = f(|i - j|) \, \mathrm{combine}_h(A_h), \quad
        A' = \sigma(\alpha (A - t)), \quad \text{edges where } A' > \mathrm{cut}

    Every option looks at a target's own candidates alone, so that no later token matters.

    Args:
        channels (int, optional): Channels g that messages have; None: a twentieth of the model's
            width.
        combine (str): One number for all heads: ``"sum"``, at most 1; ``"mean"``; ``"any"``,
            :math:`\max_h \sigma((A_h - t) / \tau)`, which needs no alpha; ``"learned"``, a sum
            weighted by a network that sees all heads, at most 1, the plain sum when new; or
            ``"per_head"``: every head keeps a graph of its own, with its share of the channels.
        tau (float): Softness of ``"any"``.
        alpha (float, optional): Steepness of the sigmoid; None (or 0): :math:`A' = A`.
        threshold (float): t.
        train_threshold (bool): Whether t is trained, one a layer.
        cut (float, optional): Pairs are edges where A' is above it; None keeps all pairs.
        top_k (int, optional): In place of the cut, edges are the k largest of each row, of ties
            the latest tokens.
        self_loops (bool): Whether a token sends to itself.
        sinks (int): The first so many tokens of a sequence send nothing but to themselves.
        normalize (bool): Whether the weights of a row are divided by their sum.
        distance (str, optional): Near tokens count more, by :math:`2 \sigma(-s d)`
            (``"sigmoid"``), :math:`e^{-s d}` (``"exp"``) or :math:`(s d + 1)^{-s}` (``"power"``)
            for a distance d. The published factors grow with d and are divided by the largest of
            the sequence, so that its length and later tokens matter; these are 1 at distance 0.
        distance_strength (float): s.
        conv (str): What passes messages: ``"gin"``, ``"gcn"``, ``"pna"``, or ``"recombine"``, a
            small attention among the edges of a token (see :mod:`gia.adapters.hop`).
        hops (int): How many of them, one after the other.
        eps (str): GIN's :math:`\epsilon` starts such that a node itself counts ``"standard"``, 1,
            or ``"published"``, 0. Either is trained.
        multiplier (float): Hidden channels of GIN's and PNA's network are this times g.
        activation (str): ``"prelu"``, with one slope for the whole layer, ``"silu"``, ``"gelu"``
            or ``"relu"``.
        dropout (float): After each hop.
        scale (float): Start of the trained factor :math:`\lambda` of every layer. At 0 a new
            adapter changes nothing.
        scale_schedule (str): ``"constant"``, or ``"published"``: from ``scale`` in the first layer
            to ``final_scale`` in the last. A new adapter then does change the model.
        final_scale (float): Where the published schedule ends.
        edge_gradients (bool): Whether gradients reach the attention through the edges' weights.
            Without them no gradient is computed through the frozen attention for their sake.
        edge_direction (str): ``"causal"``, from earlier to later tokens; ``"published"`` is what
            the published code does instead: self loops alone. For comparison.
        position (str): Whether a layer's result is added ``"before_mlp"`` or ``"after_mlp"``.
        layers (list of int, optional): The layers of the model that are adapted; None: all.

    Raises:
        ValueError: If an option has a value that it cannot have, or two contradict each other.
    """

    channels: int | None = None
    combine: Literal["sum", "mean", "any", "learned", "per_head"] = "sum"
    tau: float = 0.1
    alpha: float | None = 10.0
    threshold: float = 0.1
    train_threshold: bool = False
    cut: float | None = 0.6
    top_k: int | None = None
    self_loops: bool = True
    sinks: int = 0
    normalize: bool = False
    distance: Literal["sigmoid", "exp", "power"] | None = None
    distance_strength: float = 1.0
    conv: Literal["gin", "gcn", "pna", "recombine"] = "gin"
    hops: int = 1
    eps: Literal["standard", "published"] = "standard"
    multiplier: float = 1.0
    activation: Literal["prelu", "silu", "gelu", "relu"] = "prelu"
    dropout: float = 0.0
    scale: float = 0.0
    scale_schedule: Literal["constant", "published"] = "constant"
    final_scale: float = 0.5
    edge_gradients: bool = True
    edge_direction: Literal["causal", "published"] = "causal"
    position: Literal["before_mlp", "after_mlp"] = "before_mlp"
    layers: Sequence[int] | None = None

    def __post_init__(self) -> None:
        self._check_choices()
        for name in ("channels", "top_k", "hops"):
            self._check_number(name, whole=True, least=1)
        self._check_number("sinks", whole=True, least=0)
        for name in ("tau", "distance_strength", "multiplier"):
            self._check_number(name, above=0)
        for name in ("alpha", "threshold", "cut"):
            self._check_number(name, least=0)
        for name in ("scale", "final_scale"):
            self._check_number(name)
        self._check_number("dropout", least=0, below=1)
        self._check_layers()
        if self.train_threshold and not self.alpha and self.combine != "any":
            raise ValueError(
                f"train_threshold=True has nothing to train with alpha={self.alpha}: set alpha, or "
                "train_threshold=False"
            )
        if self.cut is not None and self.top_k is None:
            self._check_cut()

    @property
    def steepness(self) -> float | None:
        """Alpha, or None where there is no sigmoid."""
        return self.alpha or None

    def width_of_messages(self, width: int) -> int:
        """Channels g for a model of some width."""
        return max(1, round(width / 20)) if self.channels is None else self.channels

    def range_of_weights(self) -> tuple[float, float]:
        """The least and the most that A' can be, before rows are normalised."""
        low, high = 0.0, 1.0
        if self.combine == "any":
            high = _sigmoid((1 - self.threshold) / self.tau)
            low = 0.0 if self.distance else _sigmoid(-self.threshold / self.tau)
        if self.steepness is None:
            return low, high
        low, high = (_sigmoid(self.alpha * (value - self.threshold)) for value in (low, high))
        return max(low, _LEAST), high  # of what the sigmoid rounds to 0 there is no logarithm

    def start_of_scale(self, layer: int, num_layers: int) -> float:
        """Where the factor of a layer's result starts, layers counted from 0."""
        if self.scale_schedule == "constant":
            return float(self.scale)
        return self.scale + (self.final_scale - self.scale) * layer / max(1, num_layers - 1)

    def _check_cut(self) -> None:
        """A cut that drops every pair, or none, is a mistake."""
        low, high = self.range_of_weights()
        if not low <= self.cut < high:
            hint = ", or alpha=None" if self.combine == "any" and self.steepness else ""
            raise ValueError(
                f"cut must be from {low:.3g} to below {high:.3g}, between which weights are with "
                f"combine={self.combine!r}, alpha={self.alpha} and threshold={self.threshold}, "
                f"got {self.cut}: choose another one, cut=None to keep all pairs{hint}"
            )


def _sigmoid(value: float) -> float:
    return 0.5 * (1 + math.tanh(value / 2))
