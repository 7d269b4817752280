"""``gia score``: likelihood ratios of variants under a trained language model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from gia.cli.command import command
from gia.cli.items import console, given_item

if TYPE_CHECKING:  # --help needs no heavy library
    from torch_geometric.data import Data

    from gia.data.columns import Columns
    from gia.tasks import VariantScorer

COLUMNS = ("name", "position", "wild_type", "mutant", "variant", "score")
MOST_PICTURES = 20  # sequences that have a heat map


@command("score")
def score(cfg: DictConfig) -> None:
    """Write the log likelihood ratio of every single variant of sequences, or of listed ones."""
    import torch

    from gia.analysis import check_out
    from gia.data.columns import read_columns
    from gia.tasks import VariantScorer
    from gia.training import load_trained

    if (cfg.sequence is None) == (cfg.data.path is None):
        raise ValueError("give the residues, sequence=..., or a file of sequences, data.path=...")
    out = check_out(cfg.out, cfg.variants)
    check_out(cfg.out, cfg.data.path)
    if out.suffix.lower() != ".csv":
        raise ValueError(f"out={cfg.out} must end in .csv")
    listed = None
    if cfg.variants is not None:
        listed = read_columns(cfg.variants, option="variants")
        listed.check("variant_column", cfg.variant_column)
        listed.check("of_column", cfg.of_column)
    task, trained = load_trained(cfg.ckpt_path, trust=cfg.trust)
    _check_model(trained)
    task.to("cuda" if torch.cuda.is_available() else "cpu")
    data = _data(trained, cfg)
    scorer, items = VariantScorer(task, data.tokenizer, whole=cfg.whole), list(data.test_data)
    for note in data.items.notes:
        console.print(f"  {note}", soft_wrap=True)
    for entry in data.items.rejected:
        console.print(f"  row {entry.row} ({entry.name}) is left out: {entry.reason}")
    for item in items:
        if item.cut:
            console.print(
                f"  {item.name} is longer than the model reads (data.max_length): its first "
                f"{len(scorer.residues(item)):,} residues are scored",
                soft_wrap=True,
            )
    if not items:
        raise ValueError("there is no sequence to score")
    if listed is None:
        _write_singles(scorer, items, out)
    else:
        _write_listed(scorer, items, listed, cfg, out)


def _check_model(trained: DictConfig) -> None:
    """See that a model tells the likelihood of whole sequences."""
    if trained.data.get("append_label"):
        raise ValueError(
            "this model ends a sequence with its class, and tells no likelihood of a sequence "
            "alone: train one with data.append_label=false"
        )
    if not trained.inputs.get("framed", True):
        raise ValueError(
            "this model was trained on windows and has not seen where sequences begin: train one "
            "with data.windows=false"
        )


def _data(trained: DictConfig, cfg: DictConfig) -> Any:
    """The sequences, as the model knows them."""
    from gia.training import trained_data

    if cfg.sequence is None:  # all of it, also where the data would be split
        return trained_data(trained, cfg.data, whole="_target_" in cfg.data)
    return given_item(trained, cfg.sequence, "sequence")[1]


def _write_singles(scorer: VariantScorer, items: Sequence[Data], out: Path) -> None:
    """All single variants, and a heat map of each sequence."""
    from gia.analysis import save, variant_heat_map, write_csv
    from gia.analysis.prediction_table import number_cell
    from gia.tasks.variants import Mutation, variant_name

    lines, pictures = [], []
    for item in items:
        sequence, scores = scorer.residues(item), scorer.singles(item)
        for place, row in enumerate(scores.tolist()):
            for letter, value in zip(scorer.letters, row, strict=True):
                if letter != sequence[place] and value == value:
                    name = variant_name(sequence, Mutation(place, letter))
                    own = [item.name, str(place + 1), sequence[place], letter, name]
                    lines.append([*own, number_cell(value)])
        if len(pictures) < MOST_PICTURES:
            figure = variant_heat_map(scores, sequence, scorer.letters)
            suffix = "" if len(items) == 1 else f"_{len(pictures)}"
            pictures += save(figure, out.with_name(f"{out.stem}{suffix}"))[:1]
    write_csv(out, COLUMNS, lines)
    console.print(f"  {len(lines):,} variants in {out}", soft_wrap=True)
    more = f" and {len(pictures) - 1:,} more" if len(pictures) > 1 else ""
    console.print(f"  drawn in {pictures[0]}{more}", soft_wrap=True)
    if len(items) > len(pictures):
        console.print(f"  of {len(items):,} sequences the first {len(pictures)} are drawn")


def _write_listed(
    scorer: VariantScorer, items: Sequence[Data], listed: Columns, cfg: DictConfig, out: Path
) -> None:
    """The table of variants again, with a column of scores."""
    from gia.analysis import extend_table
    from gia.analysis.prediction_table import check_columns, number_cell
    from gia.tasks import read_variant

    columns, rows = listed.plain()
    check_columns(columns, ["score"])
    texts = listed.cells(cfg.variant_column)
    by_name = {item.name: item for item in items}
    sequences = {name: scorer.residues(item) for name, item in by_name.items()}
    if cfg.of_column is None and len(items) > 1:
        raise ValueError(
            f"there are {len(items):,} sequences: name the column of {cfg.variants} that says "
            "whose variant a row is with of_column=..."
        )
    if cfg.of_column is not None and len(by_name) < len(items):
        names = [item.name for item in items]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"several sequences are called {twice!r}: give each a name of its own")
    owners = [items[0].name] * len(texts)
    if cfg.of_column is not None:
        owners = listed.cells(cfg.of_column)
    cells, reasons, of_items = {}, {}, {}
    for row, (text, owner) in enumerate(zip(texts, owners, strict=True)):
        try:
            if owner not in by_name:
                raise ValueError(f"there is no sequence {owner!r}")
            variant = read_variant(text, sequences[owner])
            scorer.check(variant)
        except ValueError as error:
            reasons[row] = str(error)
            continue
        of_items.setdefault(owner, []).append((row, variant))
    for owner, found in of_items.items():
        scores = scorer.listed(by_name[owner], [variant for _, variant in found])
        cells |= {
            row: [number_cell(value) if value == value else ""]
            for (row, _), value in zip(found, scores.tolist(), strict=True)
        }
    said = [cells[row] if row in cells else reasons[row] for row in range(len(rows))]
    done = extend_table(out, columns, rows, ["score"], said)
    console.print(f"  {done['predicted']:,} scores in {out}", soft_wrap=True)
    if done["problems"]:
        console.print(f"  {done['problems']:,} rows without one: the column problem says why")
