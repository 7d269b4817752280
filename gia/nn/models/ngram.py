"""Interpolated n-grams: the honest baseline of a language model."""

from collections.abc import Sequence

import numpy as np
from torch_geometric.data import Data

from gia.data.schema import IGNORED

# A context seen often is trusted more: one interpolation weight for each range of its count.
_COUNT_BINS = np.array([1, 2, 4, 8, 16, 32, 64, 128])


class NGram:
    r"""Jelinek-Mercer n-gram over the symbols that a language model is scored on.

    .. math::
        p_k(y \mid c) = \lambda_{k,b(c)} \frac{n(c, y)}{n(c)}
        + (1 - \lambda_{k,b(c)}) \, p_{k-1}(y \mid c')

    with :math:`c'` the context without its oldest symbol, :math:`b(c)` the range in which its count
    falls and :math:`p_0 = 1 / V`. Counts come from the training split, the weights from validation,
    by expectation maximisation (Jelinek and Mercer, 1980).

    Args:
        order (int): Symbols of an n-gram, its last one included.
        vocab_size (int): Symbols V.

    Raises:
        ValueError: If the order is below 1, or too high for the vocabulary.
    """

    MOST = 2**63  # different contexts and symbols

    def __init__(self, order: int, vocab_size: int):
        if order < 1:
            raise ValueError(f"order must be at least 1, got {order}")
        # A context is a number in base V + 1: one digit a symbol, and V for "before the start".
        if (vocab_size + 1) ** order >= self.MOST:
            raise ValueError(f"order {order} is too high for {vocab_size} symbols")
        self.order = order
        self.vocab_size = vocab_size

    def fit(self, train: Sequence[Data], validation: Sequence[Data]) -> "NGram":
        """Count on one split, tune the weights on another."""
        self._tables = []
        y, contexts = self._encode(train)
        for context in contexts:
            self._tables.append((_counts(context), _counts(context * self.vocab_size + y)))
        self._weights: list[np.ndarray] = []
        y, contexts = self._encode(validation)
        lower = np.full(len(y), 1 / self.vocab_size)
        for table, context in zip(self._tables, contexts, strict=True):
            relative, bins = self._relative(table, context, y)
            weights = np.zeros(len(_COUNT_BINS) + 1)  # weight 0 for a context never seen
            for b in range(1, len(weights)):
                weights[b] = _best_weight(relative[bins == b], lower[bins == b])
            self._weights.append(weights)
            lower = weights[bins] * relative + (1 - weights[bins]) * lower
        return self

    def losses(self, data: Sequence[Data]) -> list[float]:
        """Mean negative log-likelihood of a symbol, in nats, for the orders 1 to ``order``."""
        y, contexts = self._encode(data)
        lower = np.full(len(y), 1 / self.vocab_size)
        losses = []
        for table, weights, context in zip(self._tables, self._weights, contexts, strict=True):
            relative, bins = self._relative(table, context, y)
            lower = weights[bins] * relative + (1 - weights[bins]) * lower
            losses.append(float(-np.log(lower).mean()))
        return losses

    def _encode(self, data: Sequence[Data]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Targets, and for each order the number of the context before each target."""
        y = np.concatenate([graph.y.numpy() for graph in data])
        contexts = [np.zeros(len(y), dtype=np.int64)]
        for back in range(self.order - 1):
            symbols = []
            for graph in data:
                token = graph.token.numpy()
                before = np.full(min(back, len(token)), self.vocab_size)
                symbols.append(np.concatenate([before, token[: max(0, len(token) - back)]]))
            digit = np.concatenate(symbols) * (self.vocab_size + 1) ** back
            contexts.append(contexts[-1] + digit)
        scored = y != IGNORED
        return y[scored], [context[scored] for context in contexts]

    def _relative(
        self, table: tuple, context: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Relative frequency of each target after its context, and the range of its count."""
        of_context = _look_up(table[0], context)
        of_both = _look_up(table[1], context * self.vocab_size + y)
        bins = np.searchsorted(_COUNT_BINS, of_context, side="right")
        return of_both / np.maximum(of_context, 1), bins


def _counts(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.unique(keys, return_counts=True)


def _look_up(counts: tuple[np.ndarray, np.ndarray], keys: np.ndarray) -> np.ndarray:
    known, number = counts
    where = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return np.where(known[where] == keys, number[where], 0)


def _best_weight(higher: np.ndarray, lower: np.ndarray, steps: int = 50) -> float:
    """The mixing weight that makes ``w * higher + (1 - w) * lower`` likeliest, by EM."""
    weight = 0.5
    for _ in range(steps if len(higher) else 0):
        share = weight * higher
        weight = float(np.mean(share / (share + (1 - weight) * lower)))
    # Never so sure that an unseen symbol would cost infinitely many bits.
    return min(weight, 1 - 1e-6)
