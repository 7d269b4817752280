"""Sparse graphs: sums over edges against other ways to sum, and layers against the fused graph.

Sums and maxima over the strongest edges of causal attention, by gia, PyG, torch-sparse,
torch-scatter and dense matrices; whole GIN-Attention layers over those edges, as lists and as dense
matrices, and over a window, against the same layer whose graph is never written out. Times are of
forward and backward.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from harness import available_memory, interleave, make_parser, medians
from layers import TOP, WINDOW, Case, layer_memory, prepare
from report import Report, lines_figure
from sums import MAXIMA, SUMS, Graph, Step, dense_sum, gia_max, gia_sum, maximum, summing

TOKENS = 2048  # of a batch of sequences
COPIES = 2.5  # of the dense matrices: they, their gradient, and room


class Comparison:
    """All measurements of one command, told as they come in."""

    def __init__(self, args: Any):
        self.args = args
        self.report = Report("Sparse graphs", args)
        self.report.note(
            f"Medians of interleaved rounds, forward + backward, float32. Sums: over the {TOP} "
            "strongest edges of each node and head of causal attention, with gradients of features "
            "and weights; everyone gets the edges sorted by target, and makes in each call what "
            f"else it needs. Layers: GIN over {TOP} edges of each node and head, held as a list "
            "(sparse) or as matrices (dense), over all pairs (fused), and over a window of "
            f"{WINDOW}. peak memory: as for attention layers."
        )
        self.times: dict[str, dict[int, float]] = {}  # microseconds a token, by layer and length
        self.memory: dict[str, dict[int, float]] = {}  # KiB a token

    def run(self) -> None:
        args = self.args
        self._sums(args.sum_length)
        self._dense_sum(args.dense_length)
        self._layers(args.lengths, args.form_lengths, args.window_lengths)
        panels = {"forward + backward, µs a token": self.times}
        if args.memory_lengths:
            self._memory(args.memory_lengths)
            panels["peak memory, KiB a token"] = self.memory
        self.report.write(lines_figure(panels))

    def _case(self, layer: str, length: int, batch: int | None = None) -> Case:
        batch = max(TOKENS // length, 1) if batch is None else batch
        return Case(layer, length, batch, self.args.width, self.args.heads)

    def _graph(self, length: int) -> Graph:
        width = self.args.heads * self.args.channels
        return Graph.draw(replace(self._case("sparse_gin", length, batch=1), width=width), TOP)

    def _time(self, sides: dict[str, Callable[[], None]], share: float) -> dict[str, float]:
        """Medians of some sides in a share of the time."""
        args = self.args
        with self.report.console.status(f"timing {', '.join(sides)}"):
            return medians(interleave(sides, seconds=share * args.seconds, repeats=args.repeats))

    def _sums(self, length: int) -> None:
        graph = self._graph(length)
        weight = graph.edges.edge_weight
        sums = {name: way and summing(graph, way, weight) for name, way in SUMS.items()}
        maxima = {name: way and maximum(graph, way) for name, way in MAXIMA.items()}
        self._over_edges("sum", length, summing(graph, gia_sum, weight), sums)
        self._over_edges("max", length, maximum(graph, gia_max), maxima)

    def _over_edges(
        self, what: str, length: int, ours: Step, theirs: dict[str, Step | None]
    ) -> None:
        """Ways of aggregating over edges beside ours; None: not installed."""
        there = {name: step for name, step in theirs.items() if step is not None}
        times = self._time({"gia": ours, **there}, share=1.0)
        rows = [[length, "gia", times["gia"] * 1e3, None]]
        for name in theirs:
            if name not in there:
                rows.append([length, name, "not installed", None])
                continue
            key = f"{name}_over_{what}_k{TOP}"
            rows.append(
                [length, name, times[name] * 1e3, self.report.ratio(key, times[name], times["gia"])]
            )
        self.report.table(f"{what.capitalize()} over edges", ["L", "by", "ms", "over gia's"], rows)

    def _dense_sum(self, length: int) -> None:
        matrices = 4 * self.args.heads * length**2
        if COPIES * matrices > available_memory("cpu"):
            self.report.note(
                f"Dense matrices at L {length} take {matrices / 2**30:.1f} GiB, and so does their "
                "gradient: there is not so much memory left."
            )
            return
        graph = self._graph(length)
        sides = {
            "dense": summing(graph, dense_sum, graph.dense_weight()),
            "gia": summing(graph, gia_sum, graph.edges.edge_weight),
        }
        times = self._time(sides, share=1.0)
        ratio = self.report.ratio(f"dense_over_sum_k{TOP}_L{length}", times["dense"], times["gia"])
        self.report.table(
            "Sum over edges, and product with matrices that are mostly zeros",
            ["L", "edges", "dense, ms", "gia, ms", "dense over gia's"],
            [[length, len(graph.edges.head), times["dense"] * 1e3, times["gia"] * 1e3, ratio]],
        )

    def _layers(
        self, lengths: Sequence[int], form_lengths: Sequence[int], window_lengths: Sequence[int]
    ) -> None:
        """Layers against the fused one; the two forms of the sparse one against each other."""
        rows = []
        for length in sorted({*lengths, *form_lengths, *window_lengths}):
            names = {"fused": "gin", "sparse": "sparse_gin"}
            if length in form_lengths:
                names["dense"] = "dense_gin"
            if length in window_lengths:
                names["window"] = "window_gin"
            cases = {name: self._case(layer, length) for name, layer in names.items()}
            times = self._time({name: prepare(case) for name, case in cases.items()}, share=1.0)
            for name, case in cases.items():
                self._keep(self.times, name, case, times[name] * 1e6)
                over_fused = over_sparse = None
                if name != "fused":
                    key = f"{name}_layer_over_fused_L{length}"
                    over_fused = self.report.ratio(key, times[name], times["fused"])
                if name == "dense":
                    key = f"dense_layer_over_sparse_L{length}"
                    over_sparse = self.report.ratio(key, times[name], times["sparse"])
                rows.append([length, case.batch, name, times[name] * 1e3, over_fused, over_sparse])
        columns = ["L", "B", "graph", "ms", "over fused", "over sparse"]
        self.report.table("GIN-Attention layers", columns, rows)

    def _memory(self, lengths: Sequence[int]) -> None:
        rows = []
        for length in sorted(lengths):
            cases = {"fused": self._case("gin", length), "sparse": self._case("sparse_gin", length)}
            peaks = {
                name: layer_memory(case, self.report, self.args.threads)
                for name, case in cases.items()
            }
            over, known = None, {name: peak for name, peak in peaks.items() if peak is not None}
            for name, peak in known.items():
                self._keep(self.memory, name, cases[name], peak / 2**10)
            if len(known) == len(peaks):
                key = f"peak_memory_sparse_over_fused_L{length}"
                over = self.report.ratio(key, peaks["sparse"], peaks["fused"])
            mib = [peak if peak is None else peak / 2**20 for peak in peaks.values()]
            rows.append([length, cases["fused"].batch, *mib, over])
        columns = ["L", "B", "fused, MiB", "sparse, MiB", "sparse over fused"]
        self.report.table("Peak memory, forward + backward", columns, rows)

    @staticmethod
    def _keep(kept: dict[str, dict[int, float]], name: str, case: Case, value: float) -> None:
        kept.setdefault(name, {})[case.length] = value / case.tokens


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.splitlines()[0], seconds=6.0)
    add = parser.add_argument
    add("--sum-length", type=int, default=4096, help="nodes of the graph that is summed over")
    add("--dense-length", type=int, default=8192, help="nodes where dense matrices are compared")
    add("--lengths", type=int, nargs="+", default=[256, 1024, 4096], help="tokens of a sequence")
    add(
        "--form-lengths",
        type=int,
        nargs="*",
        default=[64, 128, 256, 512, 1024],
        help="where layers over dense matrices are compared, too",
    )
    add("--window-lengths", type=int, nargs="*", default=[4096], help="the same of windows")
    add("--memory-lengths", type=int, nargs="*", default=[8192], help="for memory")
    add("--width", type=int, default=560, help="channels D of a node, of layers")
    add("--channels", type=int, default=64, help="channels d of a head, of sums")
    add("--heads", type=int, default=8, help="heads H")
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    comparison = Comparison(args)
    comparison.run()
    return comparison.report.status


if __name__ == "__main__":
    sys.exit(main())
