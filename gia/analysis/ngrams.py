"""What counting says of the sequences that a language model is scored on."""

import torch

from gia.data import DataModule
from gia.nn.models.ngram import NGram


def ngram_losses(data: DataModule, highest: int = 5) -> dict[str, list[float]]:
    """Losses of interpolated n-grams on the symbols that the model is scored on, in nats.

    Args:
        data (DataModule): The symbols.
        highest (int): The highest order, or less where there are so many symbols that contexts of
            this length cannot be counted.

    Returns:
        ``test`` and ``val``, each a loss for the orders 1, 2, ... ``highest``.
    """
    while (data.tokenizer.vocab_size + 1) ** highest >= NGram.MOST:
        highest -= 1
    ngram = NGram(highest, data.tokenizer.vocab_size).fit(data.train_data, data.val_data)
    return {"test": ngram.losses(data.test_data), "val": ngram.losses(data.val_data)}


def commonest_class(data: DataModule) -> float:
    """Accuracy on the test split of always naming the commonest class of the training split."""

    def classes(graphs: list) -> torch.Tensor:
        return torch.cat([graph.y[graph.label_mask] for graph in graphs])

    guess = classes(data.train_data).mode().values
    return float((classes(data.test_data) == guess).float().mean())
