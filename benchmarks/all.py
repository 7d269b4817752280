"""Run all benchmarks and write RESULTS.md: what is to be reached, what was measured, all tables.

Each benchmark is a process of its own. One that fails, or is not done in time, is told; the others
are written all the same, and the exit status is then not 0.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report import command, machine, markdown_table, write_json
from rich.console import Console
from rich.table import Table

from gia.data.files import write_atomically

HERE = Path(__file__).resolve().parent
SCRIPTS: dict[str, list[str]] = {  # their arguments
    "attention": ["--seconds", "15"],
    "model": [],
    "generate": [],
    "variants": [],
    "sparse": [],
    "graphs": ["--models", "gin", "gin_hops", "gps", "--seconds", "60"],
    "adapters": ["--seconds", "10"],
    "ops": ["--seconds", "0.5", "--no-models"],
}


@dataclass(frozen=True)
class Target:
    """What a ratio is to be: at most its bound, or at least."""

    bound: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"at {'least' if self.at_least else 'most'} {self.bound}"


AT_MOST = {
    "gin_over_sdpa_L256": 0.9,
    "gin_over_sdpa_L1024": 0.9,
    "gin_over_sdpa_L4096": 1.0,
    "pna_over_sdpa_L256": 1.8,
    "pna_over_sdpa_L1024": 1.8,
    "pna_over_sdpa_L4096": 2.0,
    "peak_memory_gin_over_sdpa_L8192": 1.2,
    "peak_memory_pna_over_sdpa_L8192": 1.8,
    "model_step_over_hf_llama": 1.1,
    "generate_token_over_hf": 1.0,  # eight sequences at once, as `gia generate` makes them
    "generate_token_over_hf_B1": 1.0,
    "token_time_L1024_over_L128": 1.5,
    "token_time_L1024_over_L128_B1": 1.5,
    "variants_over_whole_sequences": 0.6,
    "padding_waste_peptides": 0.05,
    "padding_waste_proteins": 0.05,
    "sparse_layer_over_fused_L4096": 1.6,
    "peak_memory_sparse_over_fused_L8192": 1.5,
    "epoch_over_gps": 0.65,
    "gin_hops_epoch_over_gps": 0.75,
    "peak_memory_over_gps": 1.0,
    "step_over_lora": 1.25,
    "graph_lora_step_over_lora": 1.15,
    "peak_memory_over_lora": 1.25,
}
AT_LEAST = {  # what others take over what gia takes
    "gather_over_sum_k16": 2.5,
    "dense_over_sum_k16_L8192": 10.0,
    "generate_over_base": 0.75,  # tokens a second
}
TARGETS = {key: Target(bound) for key, bound in AT_MOST.items()}
TARGETS |= {key: Target(bound, at_least=True) for key, bound in AT_LEAST.items()}
ON_GPU = """\
## On a GPU

```
python benchmarks/attention.py --device cuda --dtype bfloat16 --width 1024 --heads 16 \\
    --lengths 4096 16384 --batches 4 1 --memory-lengths 65536 \\
    --plot benchmarks/images/attention_gpu.png --markdown benchmarks/RESULTS_GPU.md
python benchmarks/attention.py --device cuda --dtype bfloat16 --width 1024 --heads 16 \\
    --lengths 4096 --batches 1 --no-memory
```

The first is to give `gin_over_flash_sdpa_L4096` and `_L16384` of at most 1.15, a peak memory at
L 65536, and `ragged_full_padded_over_gia` of at least 1.5; the second shows a batch that is too
small to fill the GPU. What they gave on an H200: [RESULTS_GPU.md](RESULTS_GPU.md).
"""


@dataclass
class Outcome:
    """What came of one benchmark."""

    name: str
    ratios: dict[str, float]
    markdown: str
    problem: str | None


def run(name: str, arguments: Sequence[str], folder: Path, seconds: float) -> Outcome:
    """Run one benchmark with at most so many seconds; its output goes where ours goes."""
    ratios, section = folder / f".{name}.json", folder / f".{name}.md"
    picture = folder / "images" / f"{name}.png"
    line = [sys.executable, HERE / f"{name}.py", *arguments]
    line += ["--json", ratios, "--markdown", section, "--plot", picture]
    problem = None
    process = subprocess.Popen(line, start_new_session=True)
    try:
        status = process.wait(timeout=seconds)
        problem = f"exit status {status}" if status else None
    except subprocess.TimeoutExpired:
        problem = f"not done after {seconds:.0f} seconds, when the time for all was up"
    finally:  # with whatever it has started
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    outcome = Outcome(
        name,
        json.loads(ratios.read_text()) if ratios.exists() else {},
        section.read_text() if section.exists() else "",
        problem,
    )
    for part in (ratios, section):
        part.unlink(missing_ok=True)
    return outcome


def target_rows(ratios: dict[str, float]) -> list[list[str]]:
    """For each target its key, what was measured, the target, and whether it is met."""
    rows = []
    for key, target in TARGETS.items():
        value = ratios.get(key)
        verdict = "not measured" if value is None else "yes" if target.is_met(value) else "no"
        rows.append([f"`{key}`", "-" if value is None else f"{value:.3f}", str(target), verdict])
    return rows


def page(outcomes: Sequence[Outcome], threads: int, seconds: float) -> str:
    """RESULTS.md."""
    ratios = {key: value for outcome in outcomes for key, value in outcome.ratios.items()}
    facts = ", ".join(f"{name} {value}" for name, value in machine(threads, "cpu").items())
    lines = [
        "# Benchmarks",
        "",
        f"Written in {seconds / 60:.1f} minutes by `{command(sys.argv)}`, as in `make bench`.",
        f"{facts}.",
        "All ratios of times are of medians of interleaved rounds in one process.",
        "",
    ]
    for outcome in outcomes:
        if outcome.problem:
            lines += [f"**{outcome.name} failed: {outcome.problem}.**", ""]
    columns = ["key", "measured", "target", "met"]
    lines += ["## Targets", "", *markdown_table(columns, target_rows(ratios)), ""]
    lines += [outcome.markdown for outcome in outcomes]
    return "\n".join([*lines, ON_GPU])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=[*SCRIPTS], default=[*SCRIPTS], help="of the benchmarks")
    add("--threads", type=int, default=2, help="threads of torch")
    add("--minutes", type=float, default=20.0, help="the most for all of them")
    add("--out", type=Path, default=HERE, help="folder of RESULTS.md and images/")
    add("--json", type=Path, metavar="PATH", help="write all ratios there")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    console, start = Console(), time.monotonic()
    outcomes = []
    for number, name in enumerate(args.only, start=1):
        left = max(60 * args.minutes - (time.monotonic() - start), 1.0)
        console.print(
            f"[bold]{number} of {len(args.only)}: {name}[/] ({left / 60:.0f} minutes left)"
        )
        arguments = [*SCRIPTS[name], "--threads", str(args.threads)]
        outcomes.append(run(name, arguments, args.out, left))

    with write_atomically(args.out / "RESULTS.md") as file:
        file.write(page(outcomes, args.threads, time.monotonic() - start))
    ratios = {key: value for outcome in outcomes for key, value in outcome.ratios.items()}
    if args.json is not None:
        write_json(args.json, ratios)
    table = Table("key", "measured", "target", "met", title="Targets", title_justify="left")
    for row in target_rows(ratios):
        table.add_row(*row)
    console.print(table)
    for outcome in outcomes:
        if outcome.problem:
            console.print(f"[red]{outcome.name} failed: {outcome.problem}[/]")
    console.print(f"written: {args.out / 'RESULTS.md'}", highlight=False)
    return int(any(outcome.problem for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
