"""How findings are told: on the terminal, as JSON, as Markdown and as a picture."""

import json
import math
import os
import platform
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from gia.data.files import write_atomically

OUTPUTS = ("--json", "--plot", "--markdown", "--out")


class Report:
    """What a benchmark has found.

    Args:
        title (str): What is compared.
        args (Namespace): Its arguments.

    Attributes:
        ratios (dict): The named ratios, flat.
        status (int): What the script exits with: 1 if a part of it failed.
    """

    def __init__(self, title: str, args: Namespace):
        self.title, self.args = title, args
        self.console = Console()
        self.ratios: dict[str, float] = {}
        self.status = 0
        self._markdown = [f"## {title}", ""]
        self.console.rule(title)
        self.note(f"`{command(sys.argv)}`")
        facts = machine(args.threads, getattr(args, "device", "cpu"))
        settings = {
            name: value
            for name, value in vars(args).items()
            if f"--{name}" not in OUTPUTS and name not in facts and value not in (None, False, [])
        }
        words = {**facts, **settings}.items()
        self.note(", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in words))

    def note(self, text: str) -> None:
        """A line of its own."""
        self.console.print(text, highlight=False, markup=False)
        self._markdown += [text, ""]

    def fail(self, text: str) -> None:
        """A part that failed; what else there is goes on."""
        self.status = 1
        self.note(f"FAILED: {text}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table; numbers are shown with three digits, None as a dash."""
        table = Table(title=title, title_justify="left")
        for column in columns:
            table.add_column(column, justify="right")
        cells = [[_plain(cell) for cell in row] for row in rows]
        for row in cells:
            table.add_row(*row)
        self.console.print(table)
        self._markdown += [f"**{title}**", "", *markdown_table(columns, cells), ""]

    def ratio(self, name: str, numerator: float, denominator: float) -> float:
        """Keep a ratio under its name."""
        self.ratios[name] = numerator / denominator
        return self.ratios[name]

    def write(self, figure: Figure) -> None:
        """Write what the arguments ask for."""
        for path in (self.args.json, self.args.plot, self.args.markdown):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
        if self.args.json is not None:
            write_json(self.args.json, self.ratios)
        if self.args.plot is not None:
            with write_atomically(self.args.plot, "wb") as file:
                figure.savefig(file, format="png", dpi=130, bbox_inches="tight")
        if self.args.markdown is not None:
            lines = list(self._markdown)
            if self.args.plot is not None:
                picture = os.path.relpath(self.args.plot, self.args.markdown.parent)
                lines += [f"![{self.title}]({Path(picture).as_posix()})", ""]
            with write_atomically(self.args.markdown) as file:
                file.write("\n".join(lines))


def write_json(path: Path, ratios: dict[str, float]) -> None:
    """Write a flat dictionary of numbers, whole or not at all.

    Raises:
        ValueError: If a value is not a finite number, which JSON has no word for.
    """
    for name, value in ratios.items():
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value!r}")
    with write_atomically(path) as file:
        file.write(json.dumps(ratios, indent=2) + "\n")


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown, all columns right-aligned."""
    return [
        f"| {' | '.join(columns)} |",
        f"|{' ---: |' * len(columns)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def machine(threads: int, device: str) -> dict[str, object]:
    """What the figures depend on besides the code."""
    facts: dict[str, object] = {"processor": _processor(), "threads": threads}
    if device == "cuda":
        facts["gpu"] = torch.cuda.get_device_name()
    return {**facts, "torch": torch.__version__, "python": platform.python_version()}


def command(argv: Sequence[str]) -> str:
    """The command that repeats this, without where its results go."""
    script, *rest = argv
    kept, skip = [], False
    for word in rest:
        name, has_value, _ = word.partition("=")
        if not skip and name not in OUTPUTS:
            kept.append(word)
        skip = not skip and name in OUTPUTS and not has_value
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *kept])


def lines_figure(panels: dict[str, dict[str, dict[int, float]]]) -> Figure:
    """Curves against the length, log-log.

    Args:
        panels (dict): For each panel's label on the y axis, for each side, values by length.
    """
    figure = Figure(figsize=(5.2 * len(panels), 4.6), layout="constrained")
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    shown = {}
    axes_of_panels = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (ylabel, curves) in zip(axes_of_panels, panels.items(), strict=True):
        for name, curve in curves.items():
            lengths, color = sorted(curve), f"C{names.index(name)}"
            values = [curve[length] for length in lengths]
            (shown[name],) = axes.plot(lengths, values, marker="o", markersize=4, color=color)
        axes.set(xscale="log", yscale="log", xlabel="length L", ylabel=ylabel)
        ticks = sorted({length for curve in curves.values() for length in curve})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.xaxis.minorticks_off()
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=4, frameon=False)
    return figure


MOST_ABREAST = 6  # groups of bars whose names stand side by side; more are closer, and turned


def bars_figure(groups: dict[str, dict[str, float]], ylabel: str) -> Figure:
    """Bars of several sides, group by group.

    Args:
        groups (dict): For each group a value for each side.
        ylabel (str): Label of the y axis.
    """
    many = len(groups) > MOST_ABREAST
    figure = Figure(figsize=(1.8 + (0.5 if many else 2.2) * len(groups), 3.6), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        at = [
            place + number * width for place, group in enumerate(groups.values()) if name in group
        ]
        axes.bar(at, [group[name] for group in groups.values() if name in group], width, label=name)
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(groups))], list(groups))
    if many:
        axes.tick_params(axis="x", labelrotation=60)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _plain(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return str(value)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
