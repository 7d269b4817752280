"""Attention layers: forward, forward and backward, and peak memory, against plain attention.

GIN-, PNA- and softmax attention of gia, PyG's TransformerConv, eager GIN and PNA that write the
graph out, all on causal sequences of equal length; and GIN over all pairs of graphs of different
sizes against the same layer on padded batches. On a GPU:

    python benchmarks/attention.py --device cuda --dtype bfloat16 --width 1024 --heads 16 \\
        --lengths 4096 16384 --batches 4 1 --memory-lengths 65536
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from harness import available_memory, interleave, make_parser, medians, sync_of
from layers import (
    GRAPHS,
    QUADRATIC,
    Case,
    fitting,
    full_scope,
    layer_memory,
    prepare,
    prepare_forward,
)
from report import Report, lines_figure

TOKENS = 2048  # of a batch, unless --batches says otherwise
OURS = ("gin", "pna", "softmax")


class Comparison:
    """All measurements of one command, told as they come in."""

    def __init__(self, args: Any):
        self.args = args
        # On a GPU torch chooses among several kernels; one of them is the flash kernel.
        self.plain = ["flash_sdpa", "sdpa"] if args.device == "cuda" else ["sdpa"]
        self.report = Report("Attention layers", args)
        self.report.note(
            "Medians of interleaved rounds. forward: without gradients; forward + backward: with "
            "gradients of parameters and inputs. peak memory: of forward + backward (on the CPU in "
            "a fresh process), above the level just before it with parameters and inputs in place. "
            "gin, pna, softmax: gia's; sdpa: plain attention by the kernel that torch chooses, as "
            "for gia's; flash_sdpa: the same held to torch's flash kernel. What is estimated to "
            "take more than half of the free memory is left out."
        )
        if args.batches is None:
            args.batches = [max(TOKENS // length, 1) for length in args.lengths]
        self.times: dict[str, dict[int, float]] = {}  # microseconds a token, by layer and length
        self.memory: dict[str, dict[int, float]] = {}  # KiB a token

    def run(self) -> None:
        sizes = dict(zip(self.args.lengths, self.args.batches, strict=True))
        self._layers(sizes)
        self._quadratic(sizes)
        self._ragged(max(self.args.lengths[0], 2))
        if not self.args.no_memory:
            for length in self.args.memory_lengths:
                sizes.setdefault(length, max(TOKENS // length, 1))
            self._memory(sizes)
        panels = {"forward + backward, µs a token": self.times}
        if self.memory:
            panels["peak memory, KiB a token"] = self.memory
        self.report.write(lines_figure(panels))

    def _case(self, layer: str, length: int, batch: int) -> Case:
        args = self.args
        return Case(layer, length, batch, args.width, args.heads, args.dtype, args.device)

    def _time(self, sides: dict[str, Callable[[], Any]], share: float = 1.0) -> dict[str, float]:
        """Medians of some sides in a share of the time."""
        args = self.args
        with self.report.console.status(f"timing {', '.join(sides)}"):
            times = interleave(
                sides,
                seconds=share * args.seconds,
                repeats=args.repeats,
                sync=sync_of(args.device),
            )
        return medians(times)

    def _layers(self, sizes: dict[int, int]) -> None:
        rows, names = [], [*OURS, *self.plain]
        for length, batch in sizes.items():
            cases = {name: self._case(name, length, batch) for name in names}
            both = self._time({name: prepare(case) for name, case in cases.items()})
            forward = self._time(
                {name: prepare_forward(case) for name, case in cases.items()}, share=0.25
            )
            for name in names:
                self._keep(self.times, name, cases[name], both[name] * 1e6)
                row = [length, batch, name, forward[name] * 1e3, both[name] * 1e3]
                for plain in self.plain:
                    for part, times in (("_forward", forward), ("", both)):
                        key, over = f"{name}{part}_over_{plain}_L{length}", None
                        if name in OURS:
                            over = self.report.ratio(key, times[name], times[plain])
                        row.append(over)
                rows.append(row)
        columns = ["L", "B", "layer", "forward, ms", "forward + backward, ms"]
        for plain in self.plain:
            columns += [f"forward over {plain}", f"forward + backward over {plain}"]
        self.report.table("Time against plain attention", columns, rows)

    def _quadratic(self, sizes: dict[int, int]) -> None:
        """The layers that hold every pair, wherever they fit, each beside its like of ours."""
        rows = []
        for length, batch in sizes.items():
            for name, (ours, _) in QUADRATIC.items():
                available = available_memory(self.args.device)
                case = fitting(self._case(name, length, batch), available)
                if case is None:
                    needed = QUADRATIC[name][1](self._case(name, length, 1)) / 2**30
                    rows.append([length, 1, name, f"left out, about {needed:.0f} GiB", None, None])
                    continue
                sides = {name: prepare(case), ours: prepare(replace(case, layer=ours))}
                times = self._time(sides, share=0.2)
                self._keep(self.times, name, case, times[name] * 1e6)
                ratio = self.report.ratio(f"{name}_over_{ours}_L{length}", times[name], times[ours])
                mine = f"{ours} {times[ours] * 1e3:.3g}"
                rows.append([length, case.batch, name, times[name] * 1e3, mine, ratio])
        self.report.table(
            "Layers that hold every pair, forward + backward",
            ["L", "B", "layer", "ms", "of gia, ms", "over gia's"],
            rows,
        )

    def _ragged(self, length: int) -> None:
        case = self._case("gin", length, GRAPHS)
        ours, padded, waste = full_scope(case)
        times = self._time({"gin": ours, "padded": padded}, share=0.5)
        ratio = self.report.ratio("ragged_full_padded_over_gia", times["padded"], times["gin"])
        self.report.table(
            "GIN over all pairs of graphs of many sizes, forward + backward",
            ["longest L", "B", "padding", "gia, ms", "padded with a mask, ms", "padded over gia"],
            [[length, GRAPHS, f"{waste:.0%}", times["gin"] * 1e3, times["padded"] * 1e3, ratio]],
        )

    def _memory(self, sizes: dict[int, int]) -> None:
        rows = []
        plain = self.plain[0]
        for length, batch in sorted(sizes.items()):
            peaks: dict[str, int] = {}
            for name in (*OURS, plain, *QUADRATIC):
                case = fitting(self._case(name, length, batch), available_memory(self.args.device))
                # Ratios are of equal batches, and a smaller one would need a second column.
                if case is None or case.batch < batch:
                    continue
                peak = layer_memory(case, self.report, self.args.threads)
                if peak is not None:
                    peaks[name] = peak
                    self._keep(self.memory, name, case, peak / 2**10)
            for name, peak in peaks.items():
                over = None
                if name != plain and plain in peaks:
                    key = f"peak_memory_{name}_over_{plain}_L{length}"
                    over = self.report.ratio(key, peak, peaks[plain])
                rows.append([length, batch, name, peak / 2**20, over])
        columns = ["L", "B", "layer", "peak, MiB", f"over {plain}"]
        self.report.table("Peak memory, forward + backward", columns, rows)

    @staticmethod
    def _keep(kept: dict[str, dict[int, float]], name: str, case: Case, value: float) -> None:
        kept.setdefault(name, {})[case.length] = value / case.tokens


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.splitlines()[0], seconds=30.0)
    add = parser.add_argument
    add("--lengths", type=int, nargs="+", default=[256, 1024, 4096], help="tokens of a sequence")
    add("--batches", type=int, nargs="+", help=f"sequences, one number a length; {TOKENS} tokens")
    add("--memory-lengths", type=int, nargs="*", default=[8192], help="more lengths, for memory")
    add("--width", type=int, default=560, help="channels D of a node")
    add("--heads", type=int, default=8, help="heads H")
    add("--dtype", choices=["float32", "bfloat16"], default="float32", help="of all numbers")
    add("--device", choices=["cpu", "cuda"], default="cpu", help="where it runs")
    add("--no-memory", action="store_true", help="leave out the peak memory")
    args = parser.parse_args(argv)
    if args.batches is not None and len(args.batches) != len(args.lengths):
        parser.error(f"--batches needs {len(args.lengths)} numbers, one for each of --lengths")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a CUDA GPU and a torch that was built for it")
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    comparison = Comparison(args)
    comparison.run()
    return comparison.report.status


if __name__ == "__main__":
    sys.exit(main())
