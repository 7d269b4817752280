"""The end of a language model's run: a table, and a folder worth opening."""

import math
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from gia.analysis.report_parts import (
    costs,
    model_name,
    picture_attention,
    picture_curves,
    print_costs,
    write_summary,
)
from gia.data import DataModule
from gia.nn.models.ngram import NGram
from gia.training import Run

PICTURED_LENGTH = 40  # the test sequence in the pictures is at most this long, to be readable


def ngram_losses(data: DataModule, highest: int = 5) -> dict[str, list[float]]:
    """Losses of interpolated n-grams on the symbols that the model is scored on, in nats.

    Returns:
        ``test`` and ``val``, each a loss for the orders 1, 2, ... ``highest``.
    """
    ngram = NGram(highest, data.tokenizer.vocab_size).fit(data.train_data, data.val_data)
    return {"test": ngram.losses(data.test_data), "val": ngram.losses(data.val_data)}


def write_report(run: Run, metrics: dict[str, float], console: Console) -> dict[str, Any]:
    """Write the pictures, ``summary.json`` and the final table of a run.

    Args:
        run (Run): The run, fitted.
        metrics (dict): Its test metrics.
        console (Console): Where the table goes.

    Returns:
        What ``summary.json`` holds.
    """
    data = run.datamodule
    baselines = ngram_losses(data)
    example = _example(data)
    labels = [data.tokenizer.symbols[token] for token in example.token.tolist()]
    pictures = [
        *picture_curves(run, min(baselines["val"]), "best n-gram"),
        *picture_attention(run, example, labels),
    ]
    summary = {
        "test": {name.removeprefix("test/"): value for name, value in metrics.items()},
        "ngram_test_loss": dict(enumerate(baselines["test"], start=1)),
        **costs(run),
        "data": data.summary(),
        "pictures": [picture.name for picture in pictures],
    }
    write_summary(run, summary)
    _print_results(run, summary, console)
    return summary


def commonest_class(data: DataModule) -> float:
    """Accuracy on the test split of always naming the commonest class of the training split."""

    def classes(graphs: list) -> torch.Tensor:
        return torch.cat([graph.y[graph.label_mask] for graph in graphs])

    guess = classes(data.train_data).mode().values
    return float((classes(data.test_data) == guess).float().mean())


def _example(data: DataModule) -> Any:
    """The longest test sequence whose picture is readable."""
    graphs = sorted(data.test_data, key=lambda graph: graph.num_nodes)
    return ([graph for graph in graphs if graph.num_nodes <= PICTURED_LENGTH] or graphs[:1])[-1]


def _print_results(run: Run, summary: dict[str, Any], console: Console) -> None:
    table = Table(title="Test", title_justify="left")
    table.add_column("model")
    for column in ("loss (nats)", "perplexity", "bits per symbol"):
        table.add_column(column, justify="right")

    def row(name: str, loss: float, style: str | None = None) -> None:
        numbers = (loss, math.exp(loss), loss / math.log(2))
        table.add_row(name, *(f"{number:.3f}" for number in numbers), style=style)

    ngrams = summary["ngram_test_loss"]
    best = min(ngrams.values())
    row(model_name(run.task.model), summary["test"]["loss"], "bold")
    for order, loss in ngrams.items():
        row(f"{order}-gram, interpolated", loss, "cyan" if loss == best else None)
    console.print(table)
    console.print(
        "  scored: every symbol and the end of each sequence, the same ones for all",
        highlight=False,
    )
    if "class_accuracy" in summary["test"]:
        console.print(
            f"  class accuracy {summary['test']['class_accuracy']:.1%}, always the commonest class "
            f"{commonest_class(run.datamodule):.1%}",
            highlight=False,
        )
    print_costs(summary, console, "tokens")
