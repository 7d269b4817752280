"""Variants: all single mutants of a protein, from their first change on, against whole passes.

Both sides score every mutant of the same places, evenly over the sequence; the time of all places
is that times how many places there are for each that was measured. It is time on processors.
"""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import torch
from harness import interleave, make_parser
from language import add_model_arguments, gia_model
from report import Report, bars_figure
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from gia.data import ResidueTokenizer
from gia.nn import count_parameters
from gia.tasks.continued import log_ratios

TOKENS = 4096  # of whole sequences at once, the fastest of 600 to 16,000 here


def protein(length: int, tokenizer: ResidueTokenizer) -> Data:
    """A sequence of random residues, with the tokens that begin and end it."""
    residues = torch.tensor([tokenizer.token_id(letter) for letter in "ACDEFGHIKLMNPQRSTVWY"])
    token = torch.cat([torch.tensor([tokenizer.bos]), residues[torch.randint(20, (length,))]])
    y = torch.cat([token[1:], torch.tensor([tokenizer.eos])])
    return Data(token=token, seq_pos=torch.arange(length + 1), y=y, num_nodes=length + 1)


def mutants(data: Data, tokenizer: ResidueTokenizer, every: int) -> list[dict[int, int]]:
    """The 19 others at every so manieth place."""
    residues = [tokenizer.token_id(letter) for letter in "ACDEFGHIKLMNPQRSTVWY"]
    places = range(1 + every // 2, data.num_nodes, every)
    return [{i: other} for i in places for other in residues if other != int(data.token[i])]


@torch.no_grad()
def whole_passes(model: nn.Module, data: Data, changes: Sequence[dict[int, int]]) -> Tensor:
    """The definition: a pass over each changed sequence, many at once."""
    items = [data]
    for change in changes:
        changed = data.clone()
        for node, symbol in change.items():
            changed.token[node] = changed.y[node - 1] = symbol
        items.append(changed)
    size, found = max(1, TOKENS // data.num_nodes), []
    for start in range(0, len(items), size):
        batch = Batch.from_data_list(items[start : start + size])
        log_p = model(batch).log_softmax(-1).gather(1, batch.y.unsqueeze(1))
        found.append(log_p.view(-1, data.num_nodes).double().sum(1))
    log_p = torch.cat(found)
    return log_p[1:] - log_p[0]


def sides(args: Namespace, report: Report) -> dict[str, Callable[[], Tensor]]:
    """Both ways for each attention."""
    tokenizer = ResidueTokenizer()
    data, calls = protein(args.length, tokenizer), {}
    changes = mutants(data, tokenizer, args.every)
    sizes = {"width": args.width, "heads": args.heads, "depth": args.depth}
    for name in args.attentions:
        model = gia_model(name, args.hidden, vocab_size=tokenizer.vocab_size, **sizes).eval()
        report.note(f"{name}: {count_parameters(model):,} parameters.")
        calls[name] = partial(log_ratios, model, data, changes)
        calls[f"{name}, whole"] = partial(whole_passes, model, data, changes)
        apart = float((calls[name]() - calls[f"{name}, whole"]()).abs().max())
        report.note(f"{name}: the two ways differ by at most {apart:.1e} nats.")
    return calls


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_parser(__doc__.splitlines()[0], seconds=60.0)
    add_model_arguments(parser)
    parser.set_defaults(depth=6, hidden=860, attentions=["gin"])  # five million parameters
    parser.add_argument("--length", type=int, default=300, help="residues of the protein")
    parser.add_argument("--every", type=int, default=15, help="of so many places one is measured")
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    report = Report("All single mutants of a protein", args)
    calls = sides(args, report)
    with report.console.status("scoring"):
        times = interleave(
            calls, seconds=args.seconds, repeats=args.repeats, clock=time.process_time
        )
    seconds = {name: args.every * median(of) for name, of in times.items()}
    rows = []
    for name in args.attentions:
        whole = seconds[f"{name}, whole"]
        prefix = "" if name == "gin" else f"{name}_"
        ratio = report.ratio(f"{prefix}variants_over_whole_sequences", seconds[name], whole)
        rows.append([name, args.length, 19 * args.length, seconds[name], whole, ratio])
    columns = ["model", "L", "mutants", "continued, core-s", "whole, core-s", "ratio"]
    report.table("Core-seconds of all single mutants", columns, rows)
    report.note("float32; medians over interleaved rounds.")
    report.write(bars_figure({f"L {args.length}": seconds}, "core-seconds of all single mutants"))
    return report.status


if __name__ == "__main__":
    sys.exit(main())
