"""Molecules: a training epoch, against PyG's GPS layers and other networks of as many parameters.

The melting points of 11,000 compounds (from the package chemicals). All models get the same batches
of their training split, with the same encodings, pooling and head, and are built from the
configurations that `gia train` uses. An epoch is everything: batches made by PyG's loader, forward,
loss, backward and the optimizer's step. Memory is the peak of an epoch's first batches.
"""

import sys
from collections.abc import Sequence

import torch
from graph_models import MODELS, PEER, Case, epoch, melting_points
from harness import interleave, make_parser, medians, peak_memory
from report import Report, bars_figure


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.splitlines()[0], seconds=150.0)
    add = parser.add_argument
    add("--models", nargs="+", choices=[*MODELS], default=[*MODELS], help=f"{PEER} is among them")
    add("--parameters", type=int, default=200_000, help="of every model, within 1 %%")
    add("--batch-size", type=int, default=64, help="molecules of a batch")
    add("--batches", type=int, help="only so many batches of the epoch")
    add("--memory-batches", type=int, default=20, help="batches whose peak memory is measured")
    args = parser.parse_args(argv)
    if PEER not in args.models:
        parser.error(f"--models needs {PEER}, which the others are compared with")
    torch.set_num_threads(args.threads)
    report = Report("A training epoch on molecules", args)
    data = melting_points(args.batch_size)
    graphs = data.train_data
    report.note(
        f"{len(graphs)} molecules of {sum(g.num_nodes for g in graphs) / len(graphs):.1f} atoms, "
        "float32; seconds are medians of interleaved epochs."
    )
    sizes = args.parameters, args.batch_size
    cases = {name: Case(name, *sizes, args.batches) for name in args.models}
    with report.console.status("epochs of all models in turn"):
        sides = {name: epoch(case) for name, case in cases.items()}
        seconds = medians(interleave(sides, seconds=args.seconds, repeats=args.repeats))
    memory: dict[str, float] = {}
    for name in args.models:
        case = Case(name, *sizes, args.memory_batches)
        with report.console.status(f"memory of {name}"):
            memory[name] = peak_memory(
                epoch, case, Case(name, *sizes, 1), threads=args.threads, device="cpu"
            )
    rows = []
    for name in args.models:
        over = memory_over = None
        if name != PEER:
            over = report.ratio(f"{_prefix(name)}epoch_over_{PEER}", seconds[name], seconds[PEER])
            memory_over = report.ratio(
                f"{_prefix(name)}peak_memory_over_{PEER}", memory[name], memory[PEER]
            )
        rows.append([name, seconds[name], over, memory[name] / 2**20, memory_over])
    columns = ["model", "seconds", f"over {PEER}", "peak MiB", f"over {PEER}"]
    report.table("Epochs", columns, rows)
    report.write(bars_figure({"melting points": seconds}, "seconds, one training epoch"))
    return report.status


def _prefix(name: str) -> str:
    """GIN is what the library is about; its keys have no prefix."""
    return "" if name == "gin" else f"{name}_"


if __name__ == "__main__":
    sys.exit(main())
