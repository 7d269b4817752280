"""How good a language model is."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy


class LanguageMetrics(nn.Module):
    """Loss, perplexity and bits per symbol, and accuracy on class tokens where there are any.

    Every scored symbol counts the same, whichever batch it is in.

    Args:
        vocab_size (int): Symbols V.

    Shapes:
        - **logits:** ``[N, V]``
        - **data.y:** the symbol that follows each node, ``[N]``
        - **data.label_mask:** true where that symbol is a class token, ``[N]``, optional
    """

    def __init__(self, vocab_size: int):
        super().__init__()
        self.loss = MeanMetric()
        self.accuracy = MulticlassAccuracy(vocab_size, average="micro")

    def _apply(self, fn: Callable, recurse: bool = True) -> "LanguageMetrics":
        # A model in half precision takes its metrics along, where a sum of losses stops growing.
        super()._apply(fn, recurse)
        if self.loss.dtype in (torch.bfloat16, torch.float16):
            self.loss.set_dtype(torch.float32)
        return self

    def update(self, logits: Tensor, data: Data) -> None:
        self.loss.update(cross_entropy(logits.float(), data.y, reduction="none"))
        mask = getattr(data, "label_mask", None)
        if mask is not None and mask.any():
            self.accuracy.update(logits[mask], data.y[mask])

    def compute(self) -> dict[str, Tensor]:
        """The metrics so far; then starts again."""
        loss = self.loss.compute()
        results = {"loss": loss, "perplexity": loss.exp(), "bits": loss / math.log(2)}
        if self.accuracy.update_called:
            results["class_accuracy"] = self.accuracy.compute()
        self.loss.reset()
        self.accuracy.reset()
        return results
