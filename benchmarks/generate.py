"""Generation: the time of one more token with a cache, against Hugging Face's generate.

Greedy, without a stop, prompts of equal length. The time of a token is that of generating n tokens
minus that of generating one, divided by n - 1, so that reading the prompt is left out on both
sides; differences are taken round by round.
"""

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import torch
from harness import interleave, make_parser
from language import PEER, add_model_arguments, describe, language_models
from report import Report, bars_figure
from torch import Tensor, nn

from gia.data import ResidueTokenizer
from gia.nn import generate

OURS = "gin"


def gia_generate(model: nn.Module, prompts: Tensor, tokens: int) -> list[Tensor]:
    """Continue prompts ``[B, L]`` with one of gia's models."""
    return generate(model, list(prompts), max_new_tokens=tokens, temperature=0, stop=None)


def llama_generate(model: nn.Module, prompts: Tensor, tokens: int) -> Tensor:
    """Continue prompts ``[B, L]`` with Hugging Face's by so many tokens, whatever may stop it."""
    return model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=False,
        use_cache=True,
        pad_token_id=0,
    )


class Generation:
    """All measurements of one command."""

    def __init__(self, args: Namespace, report: Report):
        self.args, self.report = args, report
        self.vocab_size = ResidueTokenizer().vocab_size
        models = language_models(args, self.vocab_size)
        report.note(describe(models))
        self.calls: dict[str, Callable] = {
            name: partial(llama_generate if name == PEER else gia_generate, model.eval())
            for name, model in models.items()
        }

    def token_times(self, places: dict[str, tuple[str, int, int]]) -> dict[str, float]:
        """Seconds of a token for several ``{name: (model, batch, context)}``, interleaved."""
        new, sides = self.args.new_tokens, {}
        for name, (model, batch, context) in places.items():
            # So that the context is `context` in the middle of what is generated.
            prompts = torch.randint(self.vocab_size, (batch, max(context - new // 2, 1)))
            for tokens in (1, new):
                sides[name, tokens] = partial(self.calls[model], prompts, tokens)
        with self.report.console.status(f"generating: {', '.join(places)}"):
            times = interleave(sides, seconds=self.args.seconds, repeats=self.args.repeats)
        return {
            name: median(
                (long - short) / (new - 1)
                for long, short in zip(times[name, new], times[name, 1], strict=True)
            )
            for name in places
        }


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.splitlines()[0], seconds=25.0)
    add_model_arguments(parser)
    add = parser.add_argument
    add("--context", type=int, default=512, help="tokens before the one that is timed")
    add("--contexts", type=int, nargs=2, default=[128, 1024], help="short and long, of gia alone")
    add("--batches", type=int, nargs="+", default=[1, 8], help="sequences at once")
    add("--new-tokens", type=int, default=64, help="tokens of a generation, at least 2")
    args = parser.parse_args(argv)
    if args.new_tokens < 2:
        parser.error(f"--new-tokens must be at least 2, got {args.new_tokens}")
    if OURS not in args.attentions:
        parser.error(f"--attentions needs {OURS}, got {' '.join(args.attentions)}")
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    report = Report("A token of cached generation", args)
    generation = Generation(args, report)
    report.note("float32; medians over interleaved rounds.")

    bars: dict[str, dict[str, float]] = {}
    rows = []
    for batch in args.batches:
        times = generation.token_times(
            {name: (name, batch, args.context) for name in generation.calls}
        )
        bars[f"B {batch}, L {args.context}"] = {side: 1e3 * time for side, time in times.items()}
        for name, time in times.items():
            over = None
            if name != PEER:
                over = report.ratio(f"{_key(name)}_B{batch}", time, times[PEER])
            rows.append([args.context, batch, name, time * 1e3, over])
    growth = []
    for batch in args.batches:
        times = generation.token_times(
            {str(context): (OURS, batch, context) for context in args.contexts}
        )
        for context in args.contexts:
            bars[f"B {batch}, L {context}"] = {OURS: times[str(context)] * 1e3}
            rows.append([context, batch, OURS, times[str(context)] * 1e3, None])
        growth.append(_growth(report, args, batch, times))
    for key in [*map(_key, args.attentions), _growth_key(args)]:
        # The largest batch speaks for all: `gia generate` makes 8 sequences at once.
        report.ratios[key] = report.ratios[f"{key}_B{max(args.batches)}"]
    report.table("Time of a token", ["L", "B", "model", "ms", f"over {PEER}"], rows)
    report.table(
        "How it grows with what came before",
        ["B", "more to read, MB", "reading it, ms", "a token, ms", "ratio", "ratio at the floor"],
        growth,
    )
    report.note(
        "More to read: keys and values of the tokens between the two contexts, in all layers. "
        "Reading it: the time of adding up as many bytes, which is the least that attention can "
        "take. At the floor: if a token took only that much longer."
    )
    report.write(bars_figure(bars, "ms a token"))
    return report.status


def _growth(
    report: Report, args: Namespace, batch: int, times: dict[str, float]
) -> list[float | int]:
    """How the time of a token grows between two contexts, beside what reading alone would cost."""
    short, long = (times[str(context)] for context in args.contexts)
    tokens = batch * (max(args.contexts) - min(args.contexts))
    more = torch.ones(2 * args.depth * tokens * args.width)  # keys and values, float32
    read = median(interleave({"read": more.sum}, seconds=1.0, repeats=30)["read"])
    ratio = report.ratio(f"{_growth_key(args)}_B{batch}", long, short)
    floor = report.ratio(f"floor_of_{_growth_key(args)}_B{batch}", short + read, short)
    return [batch, 4 * more.numel() / 1e6, read * 1e3, (long - short) * 1e3, ratio, floor]


def _growth_key(args: Namespace) -> str:
    short, long = args.contexts
    return f"token_time_L{long}_over_L{short}"


def _key(name: str) -> str:
    """GIN is what the library is about; its keys have no prefix."""
    return "generate_token_over_hf" if name == OURS else f"{name}_generate_token_over_hf"


if __name__ == "__main__":
    sys.exit(main())
