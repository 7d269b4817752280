"""What commands ask of a trained model's data: its items, one that is given, and what is told."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

if TYPE_CHECKING:  # --help needs no heavy library
    from torch_geometric.data import Data

    from gia.analysis import ItemAttention

console = Console(markup=False, emoji=False, highlight=False)
PARTS = ("train", "val", "test", "all")
MOST_TOLD = 10  # rows that are told one by one
COLUMNS = ("smiles_column", "sequence_column", "formula_column")
GIVEN = "input"  # the column of what was given at the command line


def check_apart(part: str | None, other: bool) -> None:
    """See that no part of the training's data is asked for where other data is given."""
    if other and part is not None:
        raise ValueError("part= is of the data of the training: leave it out, or data.path")


def check_part(part: str | None, other: bool, default: str) -> str:
    """The part that is asked for.

    Raises:
        ValueError: If there is no such part, or it is asked for of other data.
    """
    check_apart(part, other)
    part = part or ("all" if other else default)
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    return part


def read_items(
    task: Any, trained: DictConfig, cfg: DictConfig, *, structures: bool
) -> tuple[Sequence[Data], Any, ItemAttention]:
    """The items of a command, what their data is, and what draws a model's attention over them.

    Args:
        task (Task), trained (DictConfig): Of :func:`gia.training.load_trained`.
        cfg (DictConfig): The command's: ``data`` and ``part``.
        structures (bool): Whether the items need a structure, which sequences alone have not.

    Returns:
        tuple: The items, a :class:`gia.data.Items` or the datamodule that has one, and attention.
    """
    from hydra.utils import instantiate

    from gia.analysis import ItemAttention
    from gia.data import SequenceDataset
    from gia.training import other_items, trained_data

    named = "_target_" in cfg.data
    other = cfg.data.path is not None or named
    part = check_part(cfg.part, other, "test")
    own = instantiate(trained.data)
    of_sequences = isinstance(own.dataset, SequenceDataset)
    if of_sequences and named:
        attention = ItemAttention(
            task.model,
            of_sequences=True,
            bos=_bos(own, trained),
            steps=lambda data: own.transform(own.pre_transform(data)),
        )
        found = other_items(trained, cfg.data)
        tell_read(found)
        return found.graphs, found, attention
    if of_sequences and structures:
        raise ValueError(
            "the model was trained on sequences, whose neighbours alone are joined: name data "
            "with a structure, data=protein_structures data.path=..."
        )
    attention = ItemAttention(task.model)
    data = trained_data(trained, cfg.data, whole=part == "all" and cfg.data.path is None)
    tell_read(data.items)
    return data.part("test" if part == "all" else part), data, attention


def given_item(trained: DictConfig, text: str, name: str) -> tuple[Sequence[Data], Any]:
    """What a text of the command line is to a model: a sequence, a SMILES or a formula.

    Args:
        trained (DictConfig): Of :func:`gia.training.load_trained`.
        text (str): What was given.
        name (str): What the item is called.

    Returns:
        tuple: The items, one or none, and their datamodule.
    """
    from hydra.utils import instantiate

    from gia.data import SequenceDataset
    from gia.training import trained_data

    known = [key for key in COLUMNS if trained.data.get(key) is not None]
    several = len(known) > 1 or not all(isinstance(trained.data[key], str) for key in known)
    if several:
        raise ValueError(
            f"input= holds one text, and this model reads {', '.join(map(str, known))}: give a "
            "table, data.path=..."
        )
    sequences = isinstance(instantiate(trained.data).dataset, SequenceDataset)
    if not (known or sequences):
        raise ValueError(
            "input= is a sequence, a SMILES or a formula, and this model reads none: give a file, "
            "data.path=..., or an item=... of its data"
        )
    columns = dict.fromkeys(known or ["sequence_column"], GIVEN)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "input.csv"
        with file.open("w", newline="") as stream:
            csv.writer(stream).writerows([["name", GIVEN], [name, text]])
        other = OmegaConf.create({"path": str(file), "name_column": "name", **columns})
        data = trained_data(trained, other)
    return data.test_data, data


def tell_read(items: Any) -> None:
    """What was lost on the way."""
    for note in items.notes:
        console.print(f"  {note}", soft_wrap=True)
    for entry in items.rejected[:MOST_TOLD]:
        told = f"  row {entry.row} ({entry.name}) is left out: {entry.reason}"
        console.print(told, soft_wrap=True)
    if len(items.rejected) > MOST_TOLD:
        console.print(f"  and {len(items.rejected) - MOST_TOLD:,} more rows are left out")


def _bos(own: Any, trained: DictConfig) -> int | None:
    """What a language model has seen at the beginning of each sequence."""
    if trained.inputs.tokenizer["kind"] != "characters":
        raise ValueError(
            "the model reads bytes or parts of words, and items have a symbol a node: give a model "
            "that was trained on letters"
        )
    framed = own.target_type == "next_token" and trained.inputs.get("framed", True)
    return own.tokenizer.bos if framed else None
