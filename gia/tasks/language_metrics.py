"""How good a language model is."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy


class Metrics(nn.Module):
    """The metrics of one split: ``update(...)`` for each batch, then :meth:`compute`.

    A model in half precision takes its metrics along, where a sum of losses stops growing: theirs
    stay in float32.
    """

    def _apply(self, fn: Callable, recurse: bool = True) -> "Metrics":
        super()._apply(fn, recurse)
        for metric in self.children():
            if isinstance(metric, Metric) and metric.dtype in (torch.bfloat16, torch.float16):
                metric.set_dtype(torch.float32)
        return self

    @property
    def update_called(self) -> bool:
        """Whether there is anything to compute."""
        raise NotImplementedError

    def compute(self) -> dict[str, Tensor]:
        """The metrics so far, ``loss`` among them; then starts again."""
        raise NotImplementedError


class LanguageMetrics(Metrics):
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

    @property
    def update_called(self) -> bool:
        return self.loss.update_called

    def update(self, logits: Tensor, data: Data) -> None:
        self.loss.update(cross_entropy(logits.float(), data.y, reduction="none"))
        mask = getattr(data, "label_mask", None)
        if mask is not None and mask.any():
            self.accuracy.update(logits[mask], data.y[mask])

    def compute(self) -> dict[str, Tensor]:
        loss = self.loss.compute()
        results = {"loss": loss, "perplexity": loss.exp(), "bits": loss / math.log(2)}
        if self.accuracy.update_called:
            results["class_accuracy"] = self.accuracy.compute()
        self.loss.reset()
        self.accuracy.reset()
        return results
