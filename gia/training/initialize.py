"""A start out of data for an adapter that is trained."""

from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch_geometric.data import Data

from gia.adapters import SparseGIN, initialize
from gia.adapters.decoder import DEFAULT, decoder

TEXTS = 8  # that are read at once
LONGEST = 256  # tokens of a text that are looked at


class InitializeAdapter(Callback):
    """Before the first step, let a new Sparse-GIN read the directions in which its inputs vary.

    :func:`gia.adapters.initialize` on texts of the training part, drawn evenly. A run that resumes,
    or whose adapter comes from another one (``init_from``) and adds something already, is left as
    it is.

    Args:
        number (int): Texts that are looked at, up to 256 tokens each.

    Raises:
        ValueError: If the number is below 1, or at the start if the texts are too few for the
            adapter's channels.
    """

    def __init__(self, number: int = 32):
        if number < 1:
            raise ValueError(f"callbacks.initialize.number must be at least 1, got {number}")
        self.number = number

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        model = pl_module.model.lm
        parts = decoder(model).adapter(DEFAULT).values()
        if trainer.global_step or any(map(_adds, parts)):
            return
        texts = trainer.datamodule.train_data
        apart = max(1, len(texts) // self.number)
        chosen = [texts[i] for i in range(0, len(texts), apart)][: self.number]
        starts = range(0, len(chosen), TEXTS)
        batches = (_padded(chosen[i : i + TEXTS], pl_module.device) for i in starts)
        try:
            initialize(model, batches, max_batches=len(starts))
        except ValueError as error:
            raise ValueError(f"{error}; callbacks.initialize=null starts at random") from error


def _adds(part: SparseGIN) -> bool:
    """Whether a part of an adapter changes anything yet."""
    return bool(part.out_proj.weight.any()) and bool(part.scale != 0)


def _padded(texts: Sequence[Data], device: torch.device) -> dict[str, Tensor]:
    tokens = [text.token[:LONGEST].to(device) for text in texts]
    mask = [torch.ones_like(token) for token in tokens]
    return {
        "input_ids": pad_sequence(tokens, batch_first=True),
        "attention_mask": pad_sequence(mask, batch_first=True),
    }
