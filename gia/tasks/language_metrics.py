"""What a language model loses, symbol by symbol, and what is said of it."""

import math

from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Data
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from gia.data.schema import IGNORED
from gia.tasks.metrics import Metrics, on_any_process


class LanguageMetrics(Metrics):
    """Loss, perplexity and bits per symbol, and accuracy on class tokens where there are any.

    Every scored symbol counts the same, whichever batch it is in.

    Args:
        vocab_size (int): Symbols V.

    Shapes:
        - **logits:** ``[N, V]``
        - **data.y:** the symbol that follows each node, ``[N]``; -100 where it is not scored
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
        self._add(_of_logits(logits, data.y))
        if _has_classes(data):
            mask = data.label_mask
            self.accuracy.update(logits[mask], data.y[mask])

    def measure(self, model: nn.Module, data: Data) -> None:
        """Add what a model says of a batch, without logits where it can do so."""
        if _has_classes(data):
            self.update(model(data), data)
        else:
            self._add(losses_of(model, data))

    def _add(self, losses: Tensor) -> None:
        if len(losses):
            self.loss.update(losses)

    def compute(self) -> dict[str, Tensor]:
        loss = self.loss.compute()
        results = {"loss": loss, "perplexity": loss.exp(), "bits": loss / math.log(2)}
        if on_any_process(self.accuracy.update_called, loss.device):
            results["class_accuracy"] = self.accuracy.compute()
        self.loss.reset()
        self.accuracy.reset()
        return results


def losses_of(model: nn.Module, data: Data) -> Tensor:
    """The cross-entropy of each symbol that is scored, ``[M]``, without logits if the model can."""
    if hasattr(model, "losses"):
        return model.losses(data, data.y)
    return _of_logits(model(data), data.y)


def _of_logits(logits: Tensor, y: Tensor) -> Tensor:
    """The same of logits ``[N, V]`` and symbols ``[N]``; no copy where all of them are scored."""
    scored = y != IGNORED
    if not scored.all():
        logits, y = logits[scored], y[scored]
    return cross_entropy(logits.float(), y, reduction="none")


def _has_classes(data: Data) -> bool:
    """Whether a symbol of a batch is a class token."""
    mask = getattr(data, "label_mask", None)
    return mask is not None and bool(mask.any())
