"""The choices that make a Graph-LoRA adapter, in one place that is saved with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from gia.adapters.adapter_config import AdapterConfig
from gia.adapters.config import SparseGINConfig


@dataclass(frozen=True)
class GraphLoRAConfig(AdapterConfig):
    r"""LoRA whose bottlenecks pass messages along the attention of a frozen language model.

    For a linear layer :math:`\mathbf{y} = W \mathbf{x}` and the rows of its input

    .. math::
        \mathbf{u} = A \mathbf{x}, \quad
        \mathbf{z}_i = (1 + \epsilon) \mathbf{u}_i
        + \mathbf{g} \odot \textstyle\sum_j \hat{A}_{ij} \mathbf{u}_j, \quad
        \mathbf{y} \leftarrow \mathbf{y} + \tfrac{\alpha}{r} B \mathbf{z}

    with the rows of :math:`\hat{A}` normalised. At :math:`\mathbf{g} = 0`, where it starts, this is
    `LoRA <https://arxiv.org/abs/2106.09685>`_. The first three options have PEFT's names.

    Args:
        r (int): Rank r.
        lora_alpha (float): :math:`\alpha`.
        lora_dropout (float): On the input of A.
        target_modules (str or list of str): ``"all-linear"``, every linear layer of the decoder
            layers; or names, also the last parts of them, such as ``["o_proj", "mlp.up_proj"]``.
        edges (str, optional): What :math:`\hat{A}` is. ``"attention"``: the layer's own, without
            self loops and the first ``sinks`` tokens. For comparison, over the same candidates:
            ``"uniform"``, the mean of all earlier tokens; ``"previous"``, the token before;
            ``"random"``, ``top_k`` earlier tokens drawn for each place; ``"self"``, the token
            itself. None: no messages and no g, which is LoRA.
        combine (str): Of attention, the ``"mean"`` of the heads; or ``"per_head"``: each head is a
            graph of its own, with a g of its own.
        top_k (int, optional): Edges are the k largest pairs of each row, of ties the latest.
        cut (float, optional): Edges are the pairs whose attention is above it.
        sinks (int): The first so many tokens of a sequence send nothing.
        qkv_messages (bool): Whether messages reach the linear layers that attention is made of
            too, along the graph of the layer below. Those of the first layer have none.
        edge_gradients (bool): Whether gradients reach the attention through the edges' weights.
        train_eps (bool): Whether :math:`\epsilon`, a number for each linear layer, is trained.
        nonlinear (bool): GIN's form: :math:`\mathbf{z} \leftarrow \mathbf{z} + W_2 \,
            \mathrm{silu}(W_1 \mathbf{z})`, of r channels, with :math:`W_2 = 0` at the start.
        scalar_lr (float): The learning rate of g and :math:`\epsilon` over that of A and B, for
            :func:`gia.adapters.lr_factors`.
        layers (list of int, optional): The layers of the model that are adapted; None: all.

    Raises:
        ValueError: If an option has a value that it cannot have, or two contradict each other.
    """

    position: ClassVar[str] = "linear layers"  # where what it computes is added

    r: int = 8
    lora_alpha: float = 16.0
    lora_dropout: float = 0.0
    target_modules: str | Sequence[str] = "all-linear"
    edges: Literal["attention", "uniform", "previous", "random", "self"] | None = "attention"
    combine: Literal["mean", "per_head"] = "mean"
    top_k: int | None = None
    cut: float | None = None
    sinks: int = 1
    qkv_messages: bool = True
    edge_gradients: bool = False
    train_eps: bool = False
    nonlinear: bool = False
    scalar_lr: float = 10.0
    layers: Sequence[int] | None = None

    def __post_init__(self) -> None:
        self._check_choices()
        for name in ("r", "top_k"):
            self._check_number(name, whole=True, least=1)
        self._check_number("sinks", whole=True, least=0)
        for name in ("lora_alpha", "scalar_lr"):
            self._check_number(name, above=0)
        self._check_number("lora_dropout", least=0, below=1)
        self._check_number("cut", least=0, below=1)
        self._check_layers()
        self._check_targets()
        self._check_edges()

    @property
    def scaling(self) -> float:
        """What the low-rank part counts, alpha / r."""
        return self.lora_alpha / self.r

    @property
    def sparsifier(self) -> SparseGINConfig | None:
        """How pairs of attention become edges, in the words of Sparse-GIN; None: all of them."""
        if self.edges != "attention" or (self.top_k is None and self.cut is None):
            return None
        return SparseGINConfig(
            combine=self.combine,
            alpha=None,
            top_k=self.top_k,
            cut=self.cut,
            sinks=self.sinks,
            self_loops=False,
            normalize=True,
            edge_gradients=self.edge_gradients,
        )

    def _check_targets(self) -> None:
        targets = self.target_modules
        if isinstance(targets, str):
            if targets != "all-linear":
                raise ValueError(
                    f"target_modules must be 'all-linear' or a list of names, got {targets!r}"
                )
            return
        if not targets or not all(isinstance(name, str) and name for name in targets):
            raise ValueError(f"target_modules must have names of linear layers, got {targets!r}")
        object.__setattr__(self, "target_modules", tuple(targets))

    def _check_edges(self) -> None:
        if self.top_k is not None and self.cut is not None:
            raise ValueError(f"top_k={self.top_k} is in place of cut={self.cut}: leave out one")
        if self.edges == "random" and self.top_k is None:
            raise ValueError(
                "edges='random' draws top_k earlier tokens: set top_k; of all of them the mean is "
                "edges='uniform'"
            )
        if self.edges not in ("attention", "random") and self.top_k is not None:
            raise ValueError(f"edges={self.edges!r} has no top_k, got {self.top_k}")
        if self.edges != "attention":
            for name, plain in (("cut", None), ("combine", "mean"), ("edge_gradients", False)):
                if getattr(self, name) != plain:
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} is of attention: edges={self.edges!r} "
                        f"needs {name}={plain!r}"
                    )
