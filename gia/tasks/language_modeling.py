"""Language modelling: predict the symbol that follows each node."""

import math
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_geometric.data import Batch, Data
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from gia.analysis.ngrams import commonest_class, ngram_losses
from gia.analysis.summary import model_name, print_costs, write_summary
from gia.data import Tokenizer
from gia.nn import generate
from gia.tasks.metrics import Metrics
from gia.tasks.report import FinishedRun, costs, of_test, picture_attention, picture_curves
from gia.tasks.supervised import Supervised

PICTURED_LENGTH = 40  # the test sequence in the pictures is at most this long, to be readable


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


class LanguageModeling(Supervised):
    """Next-symbol prediction with a :class:`~gia.nn.LanguageModel`.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        vocab_size (int): Symbols V.
    """

    LOSS_NAME = "loss (nats per symbol)"
    NODE_NAME = "tokens"

    def __init__(self, model: nn.Module, *, vocab_size: int, **kwargs: Any):
        super().__init__(model, metrics=lambda split: LanguageMetrics(vocab_size), **kwargs)
        self.vocab_size = vocab_size

    @property
    def kind(self) -> str:
        return "a language model"

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        return cross_entropy(self.model(batch).float(), batch.y), batch.num_nodes

    def measure(self, metrics: LanguageMetrics, batch: Batch) -> None:
        metrics.update(self.model(batch), batch)

    def generate(
        self,
        prompt: str = "",
        *,
        num_samples: int = 1,
        max_new_tokens: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> list[str]:
        """Write new sequences.

        Args:
            prompt (str): How each begins.
            num_samples (int): How many.
            max_new_tokens, temperature, top_k, top_p: As in :func:`gia.nn.generate`.
            seed (int): Of the samples.

        Returns:
            The sequences, each with the prompt.

        Raises:
            ValueError: If the prompt has a symbol that the model does not know, or a setting is
                out of its range.
        """
        settings = self.hparams["settings"]
        tokenizer = Tokenizer.from_config(settings["inputs"]["tokenizer"])
        unknown = tokenizer.count_unknown(prompt)
        if unknown:
            raise ValueError(f"the prompt has symbols that the model does not know: {unknown}")
        # A model of windows of a text has seen neither the start nor the end of a sequence.
        windows = not settings["inputs"]["framed"]
        tokens = tokenizer.encode(prompt)
        if not windows or not prompt:
            start = tokenizer.encode("\n") if windows else torch.tensor([tokenizer.bos])
            tokens = torch.cat([start, tokens])
        sequences = generate(
            self.model,
            [tokens] * num_samples,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            stop=None if windows else tokenizer.eos,
            forbid=[tokenizer.bos, tokenizer.unk, *([tokenizer.eos] if windows else [])],
            generator=torch.Generator().manual_seed(seed),
        )
        ends = (tokenizer.bos, tokenizer.eos)
        return [
            tokenizer.decode([token for token in sequence.tolist() if token not in ends])
            for sequence in sequences
        ]

    def report(
        self, run: FinishedRun, metrics: dict[str, float], console: Console
    ) -> dict[str, Any]:
        """Write the pictures, ``summary.json`` and the final table, beside n-grams.

        Args:
            run (FinishedRun): The run, fitted.
            metrics (dict): Its test metrics.
            console (Console): Where the table goes.

        Returns:
            What ``summary.json`` holds.
        """
        data = run.datamodule
        baselines = ngram_losses(data)
        example = _example(data.test_data)
        labels = [data.tokenizer.symbols[token] for token in example.token.tolist()]
        pictures = [
            *picture_curves(run, min(baselines["val"]), "best n-gram"),
            *picture_attention(run, example, labels),
        ]
        summary = {
            "test": of_test(metrics),
            "ngram_test_loss": dict(enumerate(baselines["test"], start=1)),
            **costs(run),
            "data": data.summary(),
            "pictures": [picture.name for picture in pictures],
        }
        write_summary(run.folder, summary)
        _print_losses(model_name(self.model), summary, console)
        if "class_accuracy" in summary["test"]:
            console.print(
                f"  class accuracy {summary['test']['class_accuracy']:.1%}, always the commonest "
                f"class {commonest_class(data):.1%}",
                highlight=False,
            )
        print_costs(summary, console, self.NODE_NAME)
        return summary


def _example(graphs: list[Data]) -> Data:
    """The longest test sequence whose picture is readable."""
    graphs = sorted(graphs, key=lambda graph: graph.num_nodes)
    return ([graph for graph in graphs if graph.num_nodes <= PICTURED_LENGTH] or graphs[:1])[-1]


def _print_losses(model: str, summary: dict[str, Any], console: Console) -> None:
    table = Table(title="Test", title_justify="left")
    table.add_column("model")
    for column in ("loss (nats)", "perplexity", "bits per symbol"):
        table.add_column(column, justify="right")

    def row(name: str, loss: float, style: str | None = None) -> None:
        numbers = (loss, math.exp(loss), loss / math.log(2))
        table.add_row(name, *(f"{number:.3f}" for number in numbers), style=style)

    ngrams = summary["ngram_test_loss"]
    best = min(ngrams.values())
    row(model, summary["test"]["loss"], "bold")
    for order, loss in ngrams.items():
        row(f"{order}-gram, interpolated", loss, "cyan" if loss == best else None)
    console.print(table)
    console.print(
        "  scored: every symbol and the end of each sequence, the same ones for all",
        highlight=False,
    )
