"""Kernels: each against what it computes in plain torch, alone and inside models.

Alone, a kernel and its definition run forward and, where there is one, backward on the same inputs.
Inside a model, a training step with all kernels is held against a step with one definition in its
place. Memory is what is kept for the gradient. A kernel that pays in neither is to go.
"""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import graph_models
import torch
from harness import interleave, make_parser, medians
from kernels import USED, called, kept_bytes, kernels, replaced
from language import ATTENTIONS, gia_model
from layers import Case, prepare
from report import Report, bars_figure
from torch.nn.functional import cross_entropy
from torch_geometric.data import Batch, Data

VOCABULARY = 32
MIB = 2**20


def language_model(attention: str, args: Namespace) -> Callable[[], None]:
    """A training step of a language model on random sequences."""
    model = gia_model(
        attention, 3 * args.width, vocab_size=VOCABULARY, width=args.width, heads=args.heads,
        depth=args.depth,
    )  # fmt: skip
    token = torch.randint(VOCABULARY, (args.tokens // args.length, args.length))
    place = torch.arange(args.length)
    batch = Batch.from_data_list([Data(token=t, seq_pos=place, num_nodes=len(t)) for t in token])
    target = torch.randint(VOCABULARY, (token.numel(),))

    def step() -> None:
        model.zero_grad()
        cross_entropy(model(batch), target).backward()

    return step


def models(args: Namespace) -> dict[str, Callable[[], Callable[[], None]]]:
    """How each training step is made ready."""
    made: dict[str, Callable[[], Callable[[], None]]] = {
        f"{name} language model": lambda name=name: language_model(name, args)
        for name in ATTENTIONS
    }
    sizes = args.length, args.tokens // args.length, args.width, args.heads
    made["sparse gin layer"] = lambda: prepare(Case("sparse_gin", *sizes))
    try:
        graph_models.melting_points(64)
    except ImportError:
        return made
    for name in ("gin", "pna"):
        case = graph_models.Case(name, 200_000, 64, args.batches)
        made[f"{name} on molecules"] = lambda case=case: graph_models.epoch(case)
    return made


def alone(report: Report, args: Namespace) -> dict[str, dict[str, float]]:
    """Each kernel and its definition on the same inputs."""
    rows, bars = [], {}
    for name, prepare_kernel in kernels(args).items():
        kernel = prepare_kernel()
        functions = {"kernel": kernel.function, "definition": kernel.definition}
        sides = {side: kernel.step(function) for side, function in functions.items()}
        times = timed(sides, args)
        kept = {
            side: kept_bytes(partial(function, *kernel.inputs))
            for side, function in functions.items()
        }
        ratio = report.ratio(f"{name}_over_definition", times["kernel"], times["definition"])
        memory = None
        if kept["definition"]:
            memory = report.ratio(f"{name}_kept_over_definition", *kept.values())
        milliseconds, mebibytes = 1000 * times["kernel"], kept["kernel"] / MIB
        rows.append([name, kernel.size, milliseconds, ratio, mebibytes, memory])
        bars[name] = {"time": ratio} | ({} if memory is None else {"kept": memory})
    columns = ["kernel", "size", "ms", "over definition", "MiB kept", "over definition"]
    report.table("Alone", columns, rows)
    return bars


def in_models(report: Report, args: Namespace) -> None:
    """Training steps with all kernels, over those with one definition in its place."""
    rows = []
    for model, prepare_step in models(args).items():
        step = seeded(prepare_step())
        sides = {"all kernels": step}
        names = called(step)
        sides |= {name: without(USED[name], step) for name in names}
        sides["no kernel"] = step
        for name in names:
            sides["no kernel"] = without(USED[name], sides["no kernel"])
        times = timed(sides, args)
        kept = {side: kept_bytes(call) for side, call in sides.items()}
        key = model.replace(" ", "_")
        for side in [*sides][1:]:
            name = f"{key}_over_without_{side.replace(' ', '_')}"
            time_ratio = report.ratio(name, times["all kernels"], times[side])
            memory = report.ratio(f"{name}_kept", kept["all kernels"], kept[side])
            row = "any kernel" if side == "no kernel" else side
            rows.append([model, row, 1000 * times[side], time_ratio, kept[side] / MIB, memory])
    columns = ["model", "without", "ms", "with over without", "MiB kept", "with over without"]
    report.table("In a model", columns, rows)


def without(kernel: Any, step: Callable[[], None]) -> Callable[[], None]:
    """A step with a definition in the place of its kernel."""

    def call() -> None:
        with replaced(kernel, kernel.definition):
            step()

    return call


def seeded(step: Callable[[], None]) -> Callable[[], None]:
    """A step that draws the same batches and the same dropout in each call."""

    def call() -> None:
        torch.manual_seed(0)
        step()

    return call


def timed(sides: dict[str, Callable[[], Any]], args: Namespace) -> dict[str, float]:
    """Seconds of each side, in turn."""
    clock = time.process_time if args.processor_time else time.perf_counter
    return medians(interleave(sides, seconds=args.seconds, repeats=args.repeats, clock=clock))


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.splitlines()[0], seconds=2.0)
    add = parser.add_argument
    add("--width", type=int, default=256, help="channels D of a node")
    add("--heads", type=int, default=4, help="heads H")
    add("--depth", type=int, default=4, help="blocks of the language models")
    add("--tokens", type=int, default=2048, help="nodes of a batch")
    add("--length", type=int, default=256, help="nodes of a sequence")
    add("--batches", type=int, default=4, help="batches of molecules in a step")
    add("--dtype", default="float32", help="precision of the kernels alone")
    add("--no-models", action="store_true", help="only the kernels alone")
    add(
        "--processor-time",
        action="store_true",
        help="time of the processor in place of the clock's, where other work runs beside",
    )
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    report = Report("Kernels", args)
    report.note("Seconds are medians of interleaved rounds, forward and backward.")
    bars = alone(report, args)
    if not args.no_models:
        in_models(report, args)
    report.write(bars_figure(bars, "kernel over definition"))
    return report.status


if __name__ == "__main__":
    sys.exit(main())
