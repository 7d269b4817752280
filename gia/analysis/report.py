"""The end of a run: a table, and a folder worth opening."""

import json
import math
import resource
import sys
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from gia.analysis.figures import attention_graph, attention_heat_map, learning_curves, save
from gia.data import SequenceDataModule
from gia.models import count_parameters
from gia.models.ngram import NGram
from gia.training import Run

PICTURED_LENGTH = 40  # the test sequence in the pictures is at most this long, to be readable


def describe_data(summary: dict[str, Any], console: Console) -> None:
    """Say what was read, what was lost on the way, and how it was split.

    Args:
        summary (dict): Of :meth:`gia.data.SequenceDataModule.summary`.
        console (Console): Where to.
    """
    table = Table(title="Data", title_justify="left")
    for column in ("part", "sequences", "tokens"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in ("train", "val", "test"):
        table.add_row(part, *(f"{summary[part][key]:,}" for key in ("sequences", "tokens")))
    console.print(table)
    notes = [
        f"{summary['duplicates']:,} duplicates; {summary['groups']:,} groups kept together, the "
        f"largest of {summary['largest_group']:,}",
        f"{summary['padding_waste']:.1%} of a batch is padding",
    ]
    if summary["cut"]:
        notes.append(
            f"{summary['cut']:,} sequences longer than data.max_length were cut: "
            f"{summary['symbols_cut']:,} symbols lost"
        )
    if summary["empty_skipped"]:
        notes.append(f"{summary['empty_skipped']:,} empty sequences skipped")
    if summary["unknown"]:
        listed = ", ".join(f"{symbol!r} {n:,}" for symbol, n in summary["unknown"].items())
        notes.append(f"unknown symbols read as <unk>: {listed}")
    for note in notes:
        console.print(f"  {note}", highlight=False)


def ngram_losses(data: SequenceDataModule, highest: int = 5) -> dict[str, list[float]]:
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
    baselines = ngram_losses(run.datamodule)
    pictures = []
    epochs = [row for row in run.history.epochs if "train_eval/loss" in row]
    if epochs:
        figure = learning_curves(epochs, baseline=min(baselines["val"]))
        pictures += save(figure, run.folder / "learning_curves")
    pictures += picture_attention(run)
    summary = {
        "test": {name.removeprefix("test/"): value for name, value in metrics.items()},
        "ngram_test_loss": dict(enumerate(baselines["test"], start=1)),
        "parameters": count_parameters(run.task.model),
        "tokens_per_second": run.throughput.tokens_per_second,
        "training_seconds": run.throughput.seconds,
        "peak_memory_bytes": peak_memory(),
        "epochs": len(run.history.epochs),
        "data": run.datamodule.summary(),
        "pictures": [picture.name for picture in pictures],
    }
    (run.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    _print_results(run, summary, console)
    return summary


def picture_attention(run: Run) -> list:
    """Draw the attention graph of one test sequence, last layer, as a heat map and as arcs."""
    data = run.datamodule
    graphs = sorted(data.test_data, key=lambda graph: graph.num_nodes)
    fitting = [graph for graph in graphs if graph.num_nodes <= PICTURED_LENGTH] or graphs[:1]
    example = fitting[-1].clone().to(run.task.device)
    labels = [data.tokenizer.symbols[token] for token in example.token.tolist()]
    run.task.model.eval()
    layers = run.task.model.graphs(example)
    graph = layers[-1].cpu()
    title = f"{example.name}, layer {len(layers)} of {len(layers)}"
    heat_map = attention_heat_map(graph, labels, title)
    arcs = attention_graph(graph, labels, title)
    return [
        *save(heat_map, run.folder / "attention_heat_map"),
        *save(arcs, run.folder / "attention_graph"),
    ]


def peak_memory() -> int:
    """The most memory this process has held, in bytes: on the GPU if there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage speaks bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


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
    row(type(run.task.model.blocks[0].attention).__name__, summary["test"]["loss"], "bold")
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
    console.print(
        f"  {summary['parameters']:,} parameters, {summary['epochs']} epochs, "
        f"{summary['training_seconds']:.0f} s training, "
        f"{summary['tokens_per_second']:,.0f} tokens/s, "
        f"peak memory {summary['peak_memory_bytes'] / 2**30:.2f} GiB",
        highlight=False,
    )


def commonest_class(data: SequenceDataModule) -> float:
    """Accuracy on the test split of always naming the commonest class of the training split."""

    def classes(graphs: list) -> torch.Tensor:
        return torch.cat([graph.y[graph.label_mask] for graph in graphs])

    guess = classes(data.train_data).mode().values
    return float((classes(data.test_data) == guess).float().mean())
