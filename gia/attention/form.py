"""Which form a graph of attention takes: the one place that chooses."""

import logging
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, get_args

from torch import nn

from gia.attention.normalize import Normalizer
from gia.attention.scope import Scope
from gia.attention.sparsify import Sparsifier
from gia.typing import Form

Held: TypeAlias = Literal["cached", "fused", "fused_bias", "dense", "block_sparse", "edges"]
"""How a graph is held; ``form`` asks for one of them, and ``auto`` for the fastest."""

# Up to this length, products with matrices that are mostly zeros are faster than lists of edges
# (benchmarks/sparse.py).
SHORT = 256
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What a graph is made of, as far as its form depends on it.

    Args:
        score, normalize, sparsify: As in :class:`~gia.attention.AttentionAdjacency`.
    """

    score: nn.Module
    normalize: Normalizer
    sparsify: Sparsifier | None

    @property
    def published(self) -> bool:
        """Whether an edge depends on more than its target's own candidates."""
        return self.normalize.published or (self.sparsify is not None and self.sparsify.published)

    @property
    def drops(self) -> bool:
        """Whether some candidates are left without an edge."""
        return self.normalize.drops or (self.sparsify is not None and self.sparsify.drops)

    @property
    def drops_early(self) -> bool:
        """Whether edges can be chosen before their weights are finished."""
        return self.drops and not (self.sparsify is not None and self.sparsify.smooth)

    @property
    def is_softmax(self) -> bool:
        """Whether it is a softmax of dot products that keeps every pair, biases aside."""
        dot_products = getattr(self.score, "dot_products", False)
        return self.normalize.is_softmax and self.sparsify is None and dot_products

    @property
    def biased(self) -> bool:
        """Whether something is added to the scores."""
        return getattr(self.score, "biased", False)


def choose_form(
    asked: Form, parts: Parts, scope: Scope, *, on_gpu: bool, has_memory: bool = False
) -> Held:
    """The form of a graph, logged once with its reason unless it is fused.

    Args:
        asked (str): What the user asks for.
        parts (Parts): What the graph is made of.
        scope (Scope): The candidates.
        on_gpu (bool): Whether the nodes are on a GPU.
        has_memory (bool): Whether a cache is continued.

    Raises:
        ValueError: If there is no such form of this graph.
    """
    whole = parts.is_softmax and scope.fusable
    if has_memory:
        if not whole or parts.biased:
            raise ValueError(
                "only a softmax of dot products over all pairs can be continued with a cache: "
                "use_cache=False does without"
            )
        return "cached"
    if parts.published:
        if asked not in ("auto", "dense") or not scope.fusable:
            raise ValueError(
                "published=True looks at whole sequences: it needs form=dense and a causal or "
                f"full scope, got form={asked} and {type(scope).__name__}"
            )
        return "dense"
    if asked == "fused" and not whole:
        raise ValueError(
            "form=fused is a softmax of dot products over all pairs of a causal or full scope: "
            "use form=auto"
        )
    if asked in ("auto", "fused") and whole:
        if not parts.biased:
            return "fused"
        # With a mask that has a gradient, the CPU's kernel writes all weights out.
        if on_gpu or asked == "fused":
            return "fused_bias"
    in_blocks = parts.drops_early and scope.fusable
    lists: Held = "block_sparse" if in_blocks else "edges"
    if asked == "edges":
        return lists
    if asked == "auto":
        if not scope.fusable:
            return _told(lists, "the scope is sparse")
        if in_blocks and scope.max_length > SHORT:
            return _told(lists, f"pairs are dropped and graphs have more than {SHORT} nodes")
        return _told("dense", _why_not_fused(parts))
    return "dense"


def check_form(form: str) -> None:
    """Raise a ValueError unless there is such a form."""
    if form not in get_args(Form):
        raise ValueError(f"form must be one of {', '.join(get_args(Form))}, got {form!r}")


def _why_not_fused(parts: Parts) -> str:
    if parts.is_softmax:
        return "the scores have a bias, which a CPU's fused kernel does not speed up"
    if parts.sparsify is not None:
        return "a sparsifier changes the weights"
    return "it is no softmax of dot products"


def _told(form: Held, reason: str) -> Held:
    _tell(form, reason)
    return form


@cache
def _tell(form: Held, reason: str) -> None:
    """Say once why a graph is not fused, and what is done in place of that."""
    log.info("attention graphs are held in the form %r: %s", form, reason)
