"""Sequences from a FASTA file with a label for every residue from another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from os import PathLike
from typing import Any

from gia.data.datasets.fasta import Entry, Fasta, read_fasta
from gia.data.datasets.sequences import Record, SequenceDataset
from gia.data.targets import UNLABELLED

# Fields of a header, SET=train VALIDATION=True, as the benchmark FLIP has them.
SET, VALIDATION = "SET", "VALIDATION"
# The column that they are for data.split_column.
PART = "split"


class ResidueFasta(Fasta):
    """Sequences of a FASTA file and their residues' labels, of a FASTA file beside it.

    Entries belong together by the first word of their headers, in their order where several have
    it. A letter is the label of a residue, ``?`` none. A third file may hold a mask, ``0`` where a
    label says nothing, such as at residues that a crystal does not resolve. Fields of the labels'
    headers, ``NAME=value``, are columns for ``data.split_column``; of ``SET`` and ``VALIDATION``,
    as `FLIP <https://benchmark.protein.properties>`_ has them, the column ``split`` is made.

    Args:
        path: the sequences.
        labels_path: the labels; None where a trained model predicts them.
        mask_path: the masks; None for none.
        target_name: what the label is called.
        url: a zip archive that holds the files, downloaded where one of them does not exist.
        **options: of :class:`gia.data.datasets.SequenceDataset`.
    """

    def __init__(
        self,
        path: str | PathLike,
        labels_path: str | PathLike | None = None,
        mask_path: str | PathLike | None = None,
        *,
        target_name: str = "label",
        url: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, url, **{"target_level": "node"} | options)
        self.labels_path, self.mask_path = labels_path, mask_path
        self.target_names = (str(target_name),)

    def records(self) -> list[Record]:
        """All sequences with their labels, in the file's order.

        Raises:
            ImportError: if Biopython is not installed.
            OSError, ValueError: if a file cannot be read, or none of the sequences has labels.
        """
        return self._labelled[0]

    def notes(self) -> list[str]:
        return [*super().notes(), *self._labelled[1]]

    def table(self) -> tuple[list[str], list[dict[str, str]]]:
        """Name and sequence of each entry; its labels, and what their headers say, if there are
        any."""
        rows = [{"name": record.name, "sequence": record.sequence} for record in self.records()]
        if self.labels_path is None:
            return ["name", "sequence"], rows
        (target,), known = self.target_names, [self._fields.get(row["name"], {}) for row in rows]
        fields = list(dict.fromkeys(name for of_entry in known for name in of_entry))
        for row, record, of_entry in zip(rows, self.records(), known, strict=True):
            row[target] = record.cells[0]
            row |= {name: of_entry.get(name, "") for name in fields}
        return ["name", "sequence", target, *fields], rows

    def with_file(self, path: Any, **columns: Any) -> SequenceDataset:
        """Another FASTA file, without labels, or the sequences of a table where columns are
        named."""
        if columns:
            return super().with_file(path, **columns)
        return ResidueFasta(path, target_name=self.target_names[0], **self.options)

    @cached_property
    def _fields(self) -> dict[str, dict[str, str]]:
        """What the headers of the labels say, by the names of the entries."""
        fields = {
            key: _fields_of(entry.header)
            for key, entry in zip(
                _keys(self._entries_of_labels), self._entries_of_labels, strict=True
            )
        }
        entries = self._read[0]
        keys = zip(entries, _keys(entries), strict=True)
        return {entry.name: fields[key] for entry, key in keys if key in fields}

    @cached_property
    def _entries_of_labels(self) -> Sequence[Entry]:
        if self.labels_path is None:
            return ()
        return read_fasta(self.labels_path, self.url, "data.labels_path")[0]

    @cached_property
    def _labelled(self) -> tuple[list[Record], list[str]]:
        """The records, and what is to be known of their labels."""
        records = super().records()
        if self.labels_path is None:
            return [replace(record, cells=[""]) for record in records], []
        labels = _by_key(self._entries_of_labels)
        keys = _keys(self._read[0])
        if not labels.keys() & set(keys):
            raise ValueError(
                f"no entry of data.labels_path={self.labels_path} is named as one of "
                f"data.path={self.path}: the first ones are {next(iter(labels))[0]!r} and "
                f"{keys[0][0]!r}; entries belong together by the first word of their headers"
            )
        pairs = zip(records, keys, strict=True)
        found = [replace(record, cells=[labels.get(key, "")]) for record, key in pairs]
        notes = []
        extra = labels.keys() - set(keys)
        if extra:
            notes.append(
                f"{len(extra):,} entries of data.labels_path have no sequence, the first is "
                f"{next(word for word, number in labels if (word, number) in extra)}"
            )
        if self.mask_path is not None:
            found, told = self._masked(found)
            notes += told
        return found, notes

    def _masked(self, records: Sequence[Record]) -> tuple[list[Record], list[str]]:
        """The records without the labels that the masks leave out."""
        entries, _ = read_fasta(self.mask_path, self.url, "data.mask_path")
        masks = _by_key(entries)
        found, without, unlike = [], [], []
        for record, key in zip(records, _keys(self._read[0]), strict=True):
            label, mask = record.cells[0], masks.get(key)
            if mask is None:
                without.append(record.name)
            elif len(mask) != len(label):
                if label:  # else there is nothing to hide
                    unlike.append(record.name)
                    label = ""
            else:
                label = "".join(
                    UNLABELLED if hidden == "0" else letter
                    for letter, hidden in zip(label, mask, strict=True)
                )
            found.append(replace(record, cells=[label]))
        said = (
            (without, "have no entry in data.mask_path, and all their labels count"),
            (unlike, "have a mask of another length than their labels, and none of these counts"),
        )
        notes = [f"{len(names):,} {what}, the first is {names[0]}" for names, what in said if names]
        return found, notes


def _keys(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """The first word of each header, and how many had it before."""
    seen: Counter[str] = Counter()
    keys = []
    for entry in entries:
        word = (entry.header.split() or [entry.name])[0]
        keys.append((word, seen[word]))
        seen[word] += 1
    return keys


def _by_key(entries: Sequence[Entry]) -> dict[tuple[str, int], str]:
    """What follows each header."""
    pairs = zip(_keys(entries), entries, strict=True)
    return {key: entry.sequence for key, entry in pairs}


def _fields_of(header: str) -> dict[str, str]:
    """The fields of a header, ``NAME=value``, and the part of the data that they say."""
    pairs = (word.split("=", 1) for word in header.split()[1:] if "=" in word)
    fields = {name: value for name, value in pairs if name}
    if SET in fields and PART not in fields:
        validates = fields[SET] == "train" and fields.get(VALIDATION, "").lower() == "true"
        fields[PART] = "val" if validates else fields[SET]
    return fields
