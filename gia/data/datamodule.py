"""The datamodule: source -> records -> graphs -> split -> loaders."""

from collections import Counter
from functools import partial
from typing import Any, Protocol

from torch_geometric.data import Data

from gia.data import report
from gia.data.base import BaseDataModule, choose
from gia.data.sampler import TokenBatchSampler
from gia.data.sequence import SEPARATOR, Record, label_token, to_data, windows
from gia.data.similarity import DEFAULT_THRESHOLD
from gia.data.splits import contiguous_split, no_split, random_split, similarity_split
from gia.data.tokenizer import Tokenizer


class Source(Protocol):
    """Anything that loads records."""

    def load(self) -> list[Record]: ...


class SequenceDataModule(BaseDataModule):
    """Sequences of a source as graphs, split and batched for language modelling.

    Args:
        source: where the records come from.
        tokenizer: how their text becomes tokens.
        framing: ``"records"``, one graph each, or ``"windows"``, long texts in pieces.
        max_length: the most nodes of a graph; longer records are cut and counted.
        append_label: end each sequence with ``|`` and the token of its class.
        split: ``"similarity"``, ``"random"``, ``"contiguous"``, or ``"none"``: all for the test.
        val_fraction: share of the graphs for validation.
        test_fraction: share for the test.
        similarity_k: letters of a k-mer in the similarity split; None lets the alphabet decide.
        similarity_threshold: share of k-mers that keeps two sequences together.
        split_seed: of the split, so that runs with different seeds are tested alike.
        seed: of the batches.
        strict: make symbols outside the tokenizer's alphabet an error instead of ``<unk>``.
        tokens_per_batch: the most nodes of a batch, counted as if padded.
        num_workers: processes that fetch batches.

    Attributes:
        tokenizer: from :meth:`setup` on with the class tokens, if ``append_label``.
        labels: the class labels, sorted, if ``append_label``.
        graphs: all graphs in the source's order.
        split: where each of them goes.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        *,
        source: Source,
        tokenizer: Tokenizer,
        framing: str = "records",
        max_length: int = 1024,
        append_label: bool = False,
        split: str = "similarity",
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        similarity_k: int | None = None,
        similarity_threshold: float = DEFAULT_THRESHOLD,
        split_seed: int = 0,
        seed: int = 0,
        strict: bool = False,
        tokens_per_batch: int = 4096,
        num_workers: int = 0,
    ) -> None:
        super().__init__(split_seed=split_seed, seed=seed, num_workers=num_workers)
        fractions = {"val_fraction": val_fraction, "test_fraction": test_fraction}
        similarity = {"k": similarity_k, "threshold": similarity_threshold}
        splitters = {
            "similarity": partial(similarity_split, **fractions, seed=split_seed, **similarity),
            "random": partial(random_split, **fractions, seed=split_seed),
            "contiguous": partial(contiguous_split, **fractions),
            "none": no_split,
        }
        framings = {"records": self._one_each, "windows": self._in_windows}
        self._splitter = choose("split", split, splitters)
        self._frame = choose("framing", framing, framings)
        if append_label and framing == "windows":
            raise ValueError("data.append_label=true needs data.framing=records, got windows")
        shortest = 4 if append_label else 1  # <bos> s | <label>
        if max_length < shortest:
            raise ValueError(f"data.max_length must be at least {shortest}, got {max_length}")
        self.source, self.tokenizer = source, tokenizer
        self.max_length, self.append_label = max_length, append_label
        self.strict, self.tokens_per_batch = strict, tokens_per_batch
        self.labels: list[str] = []

    def setup(self, stage: str | None = None) -> None:
        """Load, tokenise and split; a second call changes nothing.

        Raises:
            OSError, ImportError: if the source cannot be read.
            ValueError: if the sequences are not fit for it, see the message.
        """
        if self.graphs:
            return
        loaded = self.source.load()
        records = [record for record in loaded if record.sequence]
        self.num_empty = len(loaded) - len(records)
        if not records:
            raise ValueError(f"no sequence left: all {len(loaded)} of the source are empty")
        self.unknown = self._count_unknown(records)
        if self.append_label:
            self._add_class_tokens(records)
        graphs = self._frame(records)
        # A budget below the longest graph fails here, before the longer work of splitting.
        TokenBatchSampler([data.num_nodes for data in graphs], self.tokens_per_batch)
        # What the model sees decides which sequences are the same: not case, class or what was cut.
        self.texts = [self.tokenizer.decode(data.y, specials=False) for data in graphs]
        self.split = self._splitter(self.texts)
        self.graphs = graphs

    def inputs(self) -> dict[str, Any]:
        """What a model must know of the data: the number of symbols, and the symbols themselves."""
        self.setup()
        tokenizer = self.tokenizer
        return {"vocab_size": tokenizer.vocab_size, "tokenizer": tokenizer.to_config()}

    def summary(self) -> dict[str, Any]:
        """What was read, what was lost on the way and how it was split: see the keys."""
        return report.summary(self)

    def _one_each(self, records: list[Record]) -> list[Data]:
        arguments = (self.tokenizer, self.max_length, self.append_label)
        return [to_data(record, *arguments) for record in records]

    def _in_windows(self, records: list[Record]) -> list[Data]:
        pieces = (windows(record, self.tokenizer, self.max_length) for record in records)
        graphs = [data for piece in pieces for data in piece]
        if not graphs:
            raise ValueError("no sequence left: a text needs at least two symbols")
        return graphs

    def _count_unknown(self, records: list[Record]) -> dict[str, int]:
        total: Counter[str] = Counter()
        for record in records:
            found = self.tokenizer.count_unknown(record.sequence)
            if found and not total:
                first = record.name
            total.update(found)
        if self.strict and total:
            listed = ", ".join(f"{symbol!r} ({n})" for symbol, n in sorted(total.items()))
            raise ValueError(
                f"data.strict=true, but the alphabet lacks {listed}, first in record {first!r}: "
                f"correct the data, or use data.strict=false to read them as <unk>"
            )
        return dict(sorted(total.items()))

    def _add_class_tokens(self, records: list[Record]) -> None:
        self.labels = sorted({record.label for record in records if record.label})
        wanted = [SEPARATOR, *map(label_token, self.labels)]
        known = set(self.tokenizer.symbols)  # bytes, for one, have a separator already
        self.tokenizer = self.tokenizer.with_tokens([t for t in wanted if t not in known])

    def _sampler(self, graphs: list[Data], **kwargs: Any) -> TokenBatchSampler:
        lengths = [data.num_nodes for data in graphs]
        return TokenBatchSampler(lengths, self.tokens_per_batch, **kwargs)
