"""Language modelling: predict the symbol that follows each node."""

import math
from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.utils import scatter

from gia.analysis.ngrams import commonest_class
from gia.analysis.summary import model_name, print_costs, write_summary
from gia.data import Tokenizer, read_tokenizer
from gia.data.prompts import CHAT, prompt_text
from gia.data.schema import IGNORED
from gia.nn import GraphTransformer, generate
from gia.tasks.baselines import Baselines, base_baseline, ngram_baselines
from gia.tasks.language_metrics import LanguageMetrics, losses_of
from gia.tasks.report import FinishedRun, costs, of_test, picture_attention, picture_curves
from gia.tasks.supervised import Supervised

PICTURED_LENGTH = 40  # the test sequence in the pictures is at most this long, to be readable


class LanguageModeling(Supervised):
    """Next-symbol prediction with a :class:`~gia.nn.LanguageModel`.

    Args:
        model, optimizer, scheduler, settings: As in :class:`~gia.tasks.Task`.
        vocab_size (int): Symbols V.
    """

    LOSS_NAME = "loss (nats per symbol)"
    NODE_NAME = "tokens"

    def __init__(self, model: nn.Module, *, vocab_size: int, **kwargs: Any):
        if isinstance(model, GraphTransformer):
            raise ValueError(
                "the model reads a sequence as a whole, and so what it is to write: give "
                "task=masked for this model, or model=language_model"
            )
        super().__init__(model, metrics=lambda split: LanguageMetrics(vocab_size), **kwargs)
        self.vocab_size = vocab_size

    @property
    def kind(self) -> str:
        return "a language model"

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        losses = losses_of(self.model, batch)
        return losses.mean(), len(losses)

    def measure(self, metrics: LanguageMetrics, batch: Batch) -> None:
        metrics.measure(self.model, batch)

    @torch.no_grad()
    def item_losses(
        self, batches: Iterable[Batch], *, trainer: pl.Trainer | None = None
    ) -> dict[int, tuple[float, int]]:
        """By an item's row: the nats of all that is scored of it, and how many symbols that are.

        Args:
            batches (iterable of Batch): As of a datamodule's ``loader(part)``.
            trainer (Trainer, optional): Whose precision to predict in.
        """
        self.eval()
        found = {}
        for batch in batches:
            batch = batch.to(self.device)
            with trainer.precision_plugin.forward_context() if trainer else nullcontext():
                losses = losses_of(self.model, batch)
            owner = batch.batch[batch.y != IGNORED]
            nats = scatter(losses.double(), owner, dim_size=batch.num_graphs)
            symbols = owner.bincount(minlength=batch.num_graphs)
            found |= zip(
                batch.row.tolist(), zip(nats.tolist(), symbols.tolist(), strict=True), strict=True
            )
        return found

    @property
    def tokenizer(self) -> Tokenizer:
        """What makes the model's symbols."""
        return read_tokenizer(self.hparams["settings"]["inputs"]["tokenizer"])

    def tokens(self, text: str) -> Tensor:
        """The tokens of a text, or of a prompt of a model that was trained on them, ``[L]``, as
        the model has seen such begin.

        Raises:
            ValueError: If the text has a symbol that the model does not know.
        """
        return _beginning(text, self.tokenizer, self.hparams["settings"]["inputs"])

    def generate(
        self,
        prompt: str | Tensor = "",
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
            prompt (str or Tensor): How each begins; of a model that was trained on prompts with
                answers, what is to be answered. Or the tokens of a beginning, ``[L]``.
            num_samples (int): How many.
            max_new_tokens, temperature, top_k, top_p: As in :func:`gia.nn.generate`.
            seed (int): Of the samples.

        Returns:
            The sequences, each with the prompt.

        Raises:
            ValueError: If the prompt has a symbol that the model does not know, or a setting is
                out of its range.
        """
        inputs, tokenizer = self.hparams["settings"]["inputs"], self.tokenizer
        # A model of windows of a text has seen neither the start nor the end of a sequence.
        windows = not inputs["framed"]
        tokens = self.tokens(prompt) if isinstance(prompt, str) else prompt
        write = getattr(self.model, "generate", None) or partial(generate, self.model)
        never = (tokenizer.bos, tokenizer.unk, tokenizer.eos if windows else None)
        sequences = write(
            [tokens] * num_samples,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            stop=None if windows else tokenizer.eos,
            forbid=[token for token in never if token is not None],
            generator=torch.Generator().manual_seed(seed),
        )
        return [tokenizer.decode(_without_ends(sequence, tokenizer)) for sequence in sequences]

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
        if hasattr(self.model, "as_pretrained"):
            others = base_baseline(run, LanguageMetrics(self.vocab_size))
            said = {"base_test_loss": others.test.get(others.name)}
        else:
            others = ngram_baselines(run)
            said = {"ngram_test_loss": dict(enumerate(others.test.values(), start=1))}
        example = _example(data.test_data)
        labels = [data.tokenizer.symbols[token] for token in example.token.tolist()]
        pictures = [
            *picture_curves(run, others.best, others.name),
            *picture_attention(run, example, labels),
        ]
        summary = {
            "test": of_test(metrics),
            **said,
            **costs(run),
            "data": data.summary(),
            "pictures": [picture.name for picture in pictures],
        }
        write_summary(run.folder, summary)
        _print_losses(model_name(self.model), summary["test"]["loss"], others, console)
        answers = any(bool((graph.y == IGNORED).any()) for graph in data.test_data)
        what = "answers and their ends" if answers else "every symbol and the end of each sequence"
        console.print(f"  scored: {what}, the same ones for all", highlight=False)
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


def _print_losses(name: str, loss: float, others: Baselines, console: Console) -> None:
    table = Table(title="Test", title_justify="left")
    table.add_column("model")
    for column in ("loss (nats)", "perplexity", "bits per symbol"):
        table.add_column(column, justify="right")

    def row(name: str, loss: float, style: str | None = None) -> None:
        numbers = (loss, math.exp(loss), loss / math.log(2))
        table.add_row(name, *(f"{number:.3f}" for number in numbers), style=style)

    row(name, loss, "bold")
    for other, reached in others.test.items():
        row(other, reached, "cyan" if reached == min(others.test.values()) else None)
    console.print(table)


def _without_ends(sequence: Tensor, tokenizer: Tokenizer) -> Tensor:
    """A sequence without the token that begins it and the one that ends it."""
    tokens = sequence.tolist()
    start = int(tokens[:1] == [tokenizer.bos])
    return sequence[start : len(tokens) - int(tokens[start:][-1:] == [tokenizer.eos])]


def _beginning(prompt: str, tokenizer: Tokenizer, inputs: dict[str, Any]) -> Tensor:
    """The tokens that a text, or an answer to a prompt, begins with.

    Args:
        prompt (str): What the user gave.
        tokenizer (Tokenizer): The model's.
        inputs (dict): What the model knows of its data.

    Raises:
        ValueError: If the model does not know a symbol of it.
    """
    unknown = tokenizer.count_unknown(prompt)
    if unknown:
        raise ValueError(f"the prompt has symbols that the model does not know: {unknown}")
    template = inputs.get("template")
    tokens = tokenizer.encode(prompt_text(prompt, template, tokenizer))
    if template == CHAT:
        return tokens
    start = torch.tensor([], dtype=torch.long)
    if inputs["framed"] and tokenizer.bos is not None:
        start = torch.tensor([tokenizer.bos])
    elif not len(tokens):
        start = tokenizer.encode("\n")
    return torch.cat([start, tokens])
