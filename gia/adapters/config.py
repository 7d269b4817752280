"""The choices that make a Sparse-GIN adapter, in one place that is saved with it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gia.adapters.adapter_config import AdapterConfig

_LEAST = 1e-300
# What all channels together count at the start, whatever their number: as LoRA's alpha, over r.
STEP = 12.0

# What the published setting has that the defaults have not, or that they may lose one day.
PUBLISHED: dict[str, Any] = {
    "combine": "sum",
    "alpha": 10.0,
    "threshold": 0.1,
    "cut": 0.6,
    "top_k": None,
    "self_loops": True,
    "sinks": 0,
    "normalize": False,
    "conv": "gin",
    "hops": 1,
    "multiplier": 1.0,
    "activation": "prelu",
    "gate": None,
    "norm": "after",
    "zero_output": False,
    "scale": 0.0,
    "train_scale": True,
    "final_scale": 0.5,
    "relative_scale": False,
    "position": "before_mlp",
}


@dataclass(frozen=True)
class SparseGINConfig(AdapterConfig):
    r"""How the attention of a frozen language model becomes a graph, and what passes along it.

    Sparse-GIN of `"Graph-Aware Isomorphic Attention" <https://arxiv.org/abs/2501.02393>`_. The
    defaults are what learnt best; :meth:`published` has the published setting, but that messages
    do pass between tokens and a new adapter changes nothing. In each layer, with the layer's own
    attention of the heads h:

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
        gate (float, optional): Start of a trained number for each channel, by which GIN multiplies
            the messages that arrive; None: they count 1.
        norm (str, optional): RMSNorm ``"before"``, of what the adapter reads, or ``"after"``, of
            what it adds.
        zero_output (bool): Whether the last projection starts at 0, so that a new adapter changes
            nothing whatever the scale.
        scale (float, optional): The factor :math:`\lambda` of every layer, or where it starts;
            None: 12 / g. At 0 a new adapter changes nothing.
        train_scale (bool): Whether :math:`\lambda` is trained, one a layer.
        scale_schedule (str): ``"constant"``, or ``"published"``: from ``scale`` in the first layer
            to ``final_scale`` in the last. A new adapter then does change the model.
        final_scale (float): Where the published schedule ends.
        relative_scale (bool): Whether :math:`\lambda` is multiplied by the size (the root mean
            square over channels) of what is added to: the hidden state, or beside the MLP its
            output.
        scalar_lr (float): The learning rate of gates, scales, thresholds and :math:`\epsilon` over
            that of the rest, for :func:`gia.adapters.lr_factors`.
        edge_gradients (bool): Whether gradients reach the attention through the edges' weights.
            Without them no gradient is computed through the frozen attention for their sake.
        edge_direction (str): ``"causal"``, from earlier to later tokens; ``"published"`` is what
            the published code does instead: self loops alone. For comparison.
        position (str): ``"before_mlp"``: reads the hidden state after attention and adds to it;
            ``"beside_mlp"``: reads what the MLP reads, and adds to what the MLP adds;
            ``"after_mlp"``: reads the layer's output and adds to it.
        layers (list of int, optional): The layers of the model that are adapted; None: all.

    Raises:
        ValueError: If an option has a value that it cannot have, or two contradict each other.
    """

    channels: int | None = None
    combine: Literal["sum", "mean", "any", "learned", "per_head"] = "mean"
    tau: float = 0.1
    alpha: float | None = None
    threshold: float = 0.1
    train_threshold: bool = False
    cut: float | None = 0.05
    top_k: int | None = None
    self_loops: bool = False
    sinks: int = 0
    normalize: bool = True
    distance: Literal["sigmoid", "exp", "power"] | None = None
    distance_strength: float = 1.0
    conv: Literal["gin", "gcn", "pna", "recombine"] = "gin"
    hops: int = 1
    eps: Literal["standard", "published"] = "standard"
    multiplier: float = 1.0
    activation: Literal["prelu", "silu", "gelu", "relu"] = "prelu"
    dropout: float = 0.0
    gate: float | None = 0.0
    norm: Literal["before", "after"] | None = None
    zero_output: bool = True
    scale: float | None = None
    train_scale: bool = False
    scale_schedule: Literal["constant", "published"] = "constant"
    final_scale: float = 0.5
    relative_scale: bool = False
    scalar_lr: float = 10.0
    edge_gradients: bool = True
    edge_direction: Literal["causal", "published"] = "causal"
    position: Literal["before_mlp", "beside_mlp", "after_mlp"] = "beside_mlp"
    layers: Sequence[int] | None = None

    def __post_init__(self) -> None:
        self._check_choices()
        for name in ("channels", "top_k", "hops"):
            self._check_number(name, whole=True, least=1)
        self._check_number("sinks", whole=True, least=0)
        for name in ("tau", "distance_strength", "multiplier", "scalar_lr"):
            self._check_number(name, above=0)
        for name in ("alpha", "threshold", "cut"):
            self._check_number(name, least=0)
        for name in ("scale", "final_scale"):
            self._check_number(name)
        if self.gate is not None:
            self._check_number("gate")
        self._check_number("dropout", least=0, below=1)
        self._check_layers()
        if self.train_threshold and not self.alpha and self.combine != "any":
            raise ValueError(
                f"train_threshold=True has nothing to train with alpha={self.alpha}: set alpha, or "
                "train_threshold=False"
            )
        if self.cut is not None and self.top_k is None:
            self._check_cut()
        self._check_start()

    @classmethod
    def published(cls, **options: Any) -> "SparseGINConfig":
        """The published setting, but for the options that are given."""
        return cls(**PUBLISHED | options)

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

    def start_of_scale(self, layer: int, num_layers: int, channels: int) -> float:
        """Where the factor of a layer's result starts, layers counted from 0."""
        scale = STEP / channels if self.scale is None else float(self.scale)
        if self.scale_schedule == "constant":
            return scale
        return scale + (self.final_scale - scale) * layer / max(1, num_layers - 1)

    @classmethod
    def from_saved(cls, values: dict[str, Any]) -> "SparseGINConfig":
        """What the file of an adapter holds; an option that is newer than the file is as published.

        Raises:
            ValueError: If there is no such option.
        """
        return cls.from_dict(PUBLISHED | values)

    def _check_start(self) -> None:
        """What starts at 0 twice has no gradient, and never moves."""
        if self.norm == "after" and self.zero_output:
            raise ValueError(
                "norm='after' cannot divide an output of 0 by its size: set zero_output=False, or "
                "norm='before'"
            )
        if self.scale == 0 and self.zero_output:
            raise ValueError(
                "scale=0 and zero_output=True leave each other without a gradient: set scale above "
                "0, or zero_output=False"
            )
        if self.scale == 0 and not self.train_scale:
            raise ValueError("scale=0 that is not trained stays 0: set train_scale=True")

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
