"""Adapters: a training step and cached generation, against PEFT's LoRA and the model alone.

LoRA is on all linear layers; the others have as many trainable parameters within 2 %. A step is
forward, loss, backward and the optimizer's. The loss is the model's own, and once more that of
``gia train``, which makes no logits: ``gia_...``. All are compared with PEFT's LoRA and the model's
own loss. Memory is the peak of a step beyond the model. What is generated is greedy, with the
model's own generate and its cache.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from adapter_models import SIDES, STEPS, Case, adapted, base, count, tokens, training
from generate import llama_generate
from harness import interleave, make_parser, medians, peak_memory
from report import Report, bars_figure

TOLERANCE = 0.02
# Of the names of ratios.
PREFIX = {side: "" if side == "sparse_gin" else f"{side}_" for side in STEPS}
# Where they lie beside the checkout; attention of random weights has other edges than a model's.
MODEL, TEXT = "../shared/models/stories15M", "../shared/data/text/tinyshakespeare.txt"


def found(path: str) -> str | None:
    """A path, if there is something."""
    return path if Path(path).exists() else None


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.splitlines()[0], seconds=60.0)
    add = parser.add_argument
    add("--model", default=found(MODEL), help="a Hugging Face model; else a small random Llama")
    add(
        "--text",
        default=found(TEXT) if found(MODEL) else None,
        help="a file with text to train on; else random tokens",
    )
    add("--rank", type=int, default=4, help="of LoRA")
    add("--scale", type=float, default=0.25, help="the factor of Sparse-GIN")
    add("--lengths", type=int, nargs="+", default=[256, 1024, 4096], help="tokens of a sequence")
    add("--tokens", type=int, default=2048, help="of a batch, but for longer sequences")
    add("--batches", type=int, nargs="+", default=[1, 8], help="sequences generated at once")
    add("--new-tokens", type=int, default=100, help="tokens of a generation")
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    report = Report("Adapters of a language model", args)
    case = Case(SIDES[0], args.model, args.text, args.rank, args.scale, 1, 32)
    sizes = {side: count(adapted(replace(case, side=side))) for side in SIDES}
    lora, ours, graph_lora = sizes.values()
    report.note(
        f"Trainable parameters: LoRA {lora:,}, Sparse-GIN {ours:,}, Graph-LoRA {graph_lora:,}. "
        "float32; medians."
    )
    if max(abs(ours - lora), abs(graph_lora - lora)) > TOLERANCE * lora:
        report.fail(f"the sizes differ by more than {TOLERANCE:.0%}: choose another --rank")
    bars = steps(report, args, case)
    bars |= generation(report, args, case)
    report.write(bars_figure(bars, "seconds"))
    return report.status


def steps(report: Report, args: Namespace, case: Case) -> dict[str, dict[str, float]]:
    """Time and memory of a training step at every length."""
    rows, bars, alone = [], {}, {}
    for number, length in enumerate(args.lengths):
        batch = max(1, args.tokens // length)
        cases = {side: replace(case, side=side, batch=batch, length=length) for side in STEPS}
        with report.console.status(f"steps at length {length}"):
            times = medians(
                interleave(
                    {side: training(cases[side]) for side in STEPS},
                    seconds=args.seconds,
                    repeats=args.repeats,
                )
            )
        memory = {}
        for side in STEPS:
            with report.console.status(f"memory of {side} at length {length}"):
                memory[side] = peak_memory(
                    training, cases[side], replace(cases[side], batch=1, length=16),
                    threads=args.threads, device="cpu",
                )  # fmt: skip
        alone[length] = memory["sparse_gin"] / (batch * length)
        key = "" if number == 0 else f"_L{length}"
        for side in STEPS:
            time = over = None
            if side != "lora":
                name = PREFIX[side]
                time = report.ratio(f"{name}step_over_lora{key}", times[side], times["lora"])
                over = report.ratio(
                    f"{name}peak_memory_over_lora{key}", memory[side], memory["lora"]
                )
            rows.append([length, batch, side, times[side], time, memory[side] / 2**20, over])
        bars[f"step, L {length}"] = times
    columns = ["L", "B", "adapter", "seconds", "over LoRA", "peak MiB", "over LoRA"]
    report.table("A training step", columns, rows)
    if len(args.lengths) > 1:
        longest, before = max(args.lengths), sorted(args.lengths)[-2]
        report.ratio("memory_of_a_token_longest_over_second", alone[longest], alone[before])
    return bars


def generation(report: Report, args: Namespace, case: Case) -> dict[str, dict[str, float]]:
    """Tokens per second with each adapter, PEFT's LoRA unmerged among them, and without."""
    prompt = 8
    length = prompt + args.new_tokens
    models = {"base": base(args.model, length).eval()}
    for side in SIDES:
        models[side] = adapted(replace(case, side=side, length=length)).eval()
    rows, bars = [], {}
    for batch in args.batches:
        ids = tokens(args.model, args.text, batch, prompt)
        sides = {
            name: partial(llama_generate, model, ids, args.new_tokens)
            for name, model in models.items()
        }
        with report.console.status(f"generating {batch} at once"):
            times = medians(interleave(sides, seconds=args.seconds, repeats=args.repeats))
        for name, time in times.items():
            over = None
            if name != "base":
                ratio = f"{PREFIX[name]}generate_over_base_B{batch}"
                over = report.ratio(ratio, times["base"], time)
            rows.append([batch, name, batch * args.new_tokens / time, over])
        bars[f"generation, B {batch}"] = times
    for side in SIDES:
        name = f"{PREFIX[side]}generate_over_base"
        report.ratios[name] = min(report.ratios[f"{name}_B{batch}"] for batch in args.batches)
    report.table("Generation", ["B", "model", "tokens/s", "over the base"], rows)
    return bars


if __name__ == "__main__":
    sys.exit(main())
