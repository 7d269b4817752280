"""Language models: a training step on real batches, against Hugging Face's Llama.

Peptides (from the package modlamp) and protein chains (protein/rcsb_fold.csv in $GIA_DATA, by
default ../shared/data), batched by gia's length-aware sampler. All models get the same sequences of
the same batches: gia's as ragged batches, the Llama's padded, with a mask. A step is forward, loss
and backward; batches are made beforehand, and no optimizer runs.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from harness import interleave, make_parser, medians
from language import PEER, add_model_arguments, describe, language_models
from report import Report, bars_figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torch_geometric.data import Batch

from gia.data import DataModule, Peptides, ResidueTokenizer, Sequences

DATA = Path(__file__).resolve().parents[2] / "shared/data"
PROTEINS = "protein/rcsb_fold.csv"
IGNORED = -100  # the label of padding


def datasets(tokens: int, max_length: int) -> dict[str, DataModule | None]:
    """The sets of sequences; None where the file is not there."""
    # The random split, which is quick to make: nothing is learned here.
    common = {"tokens_per_batch": tokens, "split": "random", "target_type": "next_token"}
    path = Path(os.environ.get("GIA_DATA", DATA)) / PROTEINS
    sources = {
        "peptides": Peptides(max_length=max_length),
        "proteins": Sequences(path, "sequence", max_length=max_length) if path.exists() else None,
    }
    return {
        name: DataModule(source, **common) if source is not None else None
        for name, source in sources.items()
    }


def padded(batch: Batch) -> dict[str, Tensor]:
    """A ragged batch as Hugging Face's models take it: ``[B, L]`` each."""
    graphs = batch.to_data_list()
    mask = [torch.ones_like(graph.token) for graph in graphs]
    return {
        "input_ids": pad_sequence([graph.token for graph in graphs], batch_first=True),
        "attention_mask": pad_sequence(mask, batch_first=True),
        "labels": pad_sequence(
            [graph.y for graph in graphs], batch_first=True, padding_value=IGNORED
        ),
    }


def gia_loss(model: nn.Module, batch: Batch) -> Tensor:
    """The loss of one of gia's models."""
    return cross_entropy(model(batch), batch.y)


def llama_loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """The same loss of Hugging Face's."""
    logits = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
    ).logits
    return cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORED)


def training_step(name: str, model: nn.Module, batch: Batch) -> Callable[[], None]:
    """Forward, loss and backward of a model on a batch."""
    loss, data = (llama_loss, padded(batch)) if name == PEER else (gia_loss, batch)

    def step() -> None:
        model.zero_grad()
        loss(model, data).backward()

    return step


def some_batches(data: DataModule, number: int) -> list[Batch]:
    """Training batches from the longest to the shortest sequences, evenly spaced."""
    batches = list(data.loader("train"))
    number = min(number, len(batches))
    return [batches[len(batches) * (2 * i + 1) // (2 * number)] for i in range(number)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.splitlines()[0], seconds=12.0)
    add_model_arguments(parser)
    add = parser.add_argument
    add("--tokens", type=int, default=2048, help="the most tokens of a batch, padding included")
    add("--max-length", type=int, default=512, help="longer sequences are cut")
    add("--batches", type=int, default=4, help="batches of each data set, one comparison each")
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    report = Report("A training step of a language model", args)
    models = language_models(args, ResidueTokenizer().vocab_size)
    report.note(describe(models))
    report.note("float32; seconds are sums over the batches of medians of interleaved rounds.")

    steps: dict[str, dict[str, float]] = {}
    rows = []
    for name, data in datasets(args.tokens, args.max_length).items():
        if data is None:
            report.note(f"skipped: there is no {PROTEINS}; GIA_DATA names the folder it is in")
            continue
        data.setup()
        waste = data.train_dataloader().batch_sampler.padding_waste()
        report.ratios[f"padding_waste_{name}"] = waste
        batches = some_batches(data, args.batches)
        steps[name] = dict.fromkeys(models, 0.0)
        for number, batch in enumerate(batches, start=1):
            with report.console.status(f"{name}: batch {number} of {len(batches)}"):
                sides = {side: training_step(side, model, batch) for side, model in models.items()}
                times = interleave(sides, seconds=args.seconds, repeats=args.repeats)
            for side, seconds in medians(times).items():
                steps[name][side] += seconds
        tokens = sum(batch.num_nodes for batch in batches)
        for side in models:
            over = None
            if side != PEER:
                key = f"{_prefix(side)}model_step_over_{PEER}_{name}"
                over = report.ratio(key, steps[name][side], steps[name][PEER])
            rows.append([name, f"{waste:.1%}", tokens, side, steps[name][side], over])
    columns = ["data", "padding", "tokens", "model", "seconds", f"over {PEER}"]
    report.table("Training steps", columns, rows)
    worst = {}
    for side in args.attentions:
        key = f"{_prefix(side)}model_step_over_{PEER}"
        worst[side] = report.ratios[key] = max(report.ratios[f"{key}_{name}"] for name in steps)
    report.table(f"Worst over {PEER}", list(worst), [list(worst.values())])
    report.write(bars_figure(steps, "seconds, forward + loss + backward"))
    return report.status


def _prefix(side: str) -> str:
    """GIN is what the library is about; its keys have no prefix."""
    return "" if side == "gin" else f"{side}_"


if __name__ == "__main__":
    sys.exit(main())
