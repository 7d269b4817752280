"""Precision: loss curves of bfloat16 against float32, and against what another seed changes.

Trains `peptide_lm` for some epochs: in float32 with several seeds, in both forms of bfloat16 with
the first of them. Curves agree if they lie no further apart than those of different seeds.
"""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from harness import make_parser
from matplotlib.figure import Figure
from report import Report

REFERENCE = "32-true"
OTHERS = ("bf16-mixed", "bf16-true")


def curve(precision: str, seed: int, epochs: int, folder: Path, more: Sequence[str]) -> list[float]:
    """Validation losses, epoch by epoch, of a run with the default settings."""
    command = [sys.executable, "-m", "gia.cli", "train", f"run_dir={folder}", f"seed={seed}"]
    command += [f"trainer.precision={precision}", f"trainer.max_epochs={epochs}"]
    # All curves in full length and with the same schedule.
    command += ["callbacks.early_stopping=null", "callbacks.progress_bar=null", *more]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"training in {precision} failed: {done.stderr.strip()}")
    with open(folder / "metrics.csv", newline="") as file:
        return [float(row["val/loss"]) for row in csv.DictReader(file) if row["val/loss"]]


def furthest(left: Sequence[float], right: Sequence[float]) -> float:
    """How far two curves lie apart where they do most."""
    return max(abs(a - b) for a, b in zip(left, right, strict=True))


def draw(curves: dict[str, list[float]]) -> Figure:
    """The curves against the epoch."""
    figure = Figure(figsize=(5.2, 4), layout="constrained")
    axes = figure.subplots()
    for name, losses in curves.items():
        style = "--" if name.startswith(REFERENCE) else "-"
        axes.plot(range(1, len(losses) + 1), losses, style, marker="o", markersize=3, label=name)
    axes.set(xlabel="epoch", ylabel="validation loss (nats)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.splitlines()[0], seconds=0.0)
    parser.add_argument("--epochs", type=int, default=6, help="of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of float32")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of every run")
    args = parser.parse_args(argv)
    if len(args.seeds) < 2:
        parser.error(f"--seeds needs two or more, to tell noise from difference, got {args.seeds}")
    torch.set_num_threads(args.threads)
    report = Report("Precision of training", args)
    runs = [(REFERENCE, seed) for seed in args.seeds]
    runs += [(precision, args.seeds[0]) for precision in OTHERS]
    curves = {}
    with tempfile.TemporaryDirectory() as folder:
        for precision, seed in runs:
            name = f"{precision}, seed {seed}"
            with report.console.status(f"training: {name}"):
                where = Path(folder) / name.replace(", ", "_").replace(" ", "_")
                curves[name] = curve(precision, seed, args.epochs, where, args.set)
    report.table(
        "Validation loss, nats",
        ["epoch", *curves],
        [
            [epoch, *(f"{c[epoch - 1]:.4f}" for c in curves.values())]
            for epoch in range(1, args.epochs + 1)
        ],
    )
    first, *seeds = (curves[f"{REFERENCE}, seed {seed}"] for seed in args.seeds)
    noise = max(furthest(first, other) for other in seeds)
    for precision in OTHERS:
        difference = furthest(first, curves[f"{precision}, seed {args.seeds[0]}"])
        key = f"{precision.replace('-', '_')}_difference_over_noise"
        ratio = report.ratio(key, difference, noise)
        report.note(
            f"{precision} differs from float32 by at most {difference:.4f} nats, other seeds by "
            f"{noise:.4f}: ratio {ratio:.2f}, at most 1 is within noise."
        )
    report.write(draw(curves))
    return report.status


if __name__ == "__main__":
    sys.exit(main())
