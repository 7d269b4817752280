"""Variants of a sequence: how much likelier a language model finds them than itself."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from gia.data import Tokenizer
from gia.data.progress import progress
from gia.data.schema import IGNORED
from gia.data.tokenizer import SPECIALS
from gia.tasks.continued import fast, log_ratios
from gia.tasks.language_modeling import LanguageModeling
from gia.tasks.masked import Masked
from gia.tasks.task import Task

T = TypeVar("T")

TOKENS = 16384  # of a batch
MUTATION = re.compile(r"([A-Za-z])(\d+)([A-Za-z])")
BETWEEN = re.compile(r"[:;,/+\s]+")


class Mutation(NamedTuple):
    """Another residue: its place in the sequence, from 0, and its letter."""

    place: int
    letter: str


def read_variant(text: str, sequence: Sequence[str]) -> list[Mutation]:
    """The mutations of a variant as the field writes them: ``A24G``, or several, ``A24G:K30R``.

    Args:
        text (str): The variant; places count from 1.
        sequence (list of str): The letters of the sequence.

    Raises:
        ValueError: If it is none, or not of this sequence.
    """
    found = []
    for part in filter(None, BETWEEN.split(text.strip())):
        match = MUTATION.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no mutation such as A24G")
        old, number, new = match[1], int(match[2]), match[3]
        if not 1 <= number <= len(sequence):
            raise ValueError(f"{part}: the sequence has {len(sequence)} residues")
        if sequence[number - 1] != old:  # an alphabet may have letters of both cases
            old, new = old.upper(), new.upper()
        if sequence[number - 1] != old:
            raise ValueError(f"{part}: residue {number} of the sequence is {sequence[number - 1]}")
        found.append(Mutation(number - 1, new))
    if not found:
        raise ValueError("no mutation is named")
    if len({mutation.place for mutation in found}) < len(found):
        raise ValueError(f"{text.strip()}: a residue is changed twice")
    return found


class VariantScorer:
    r"""Log likelihood ratios of variants of a sequence, in nats; above 0 the variant is likelier.

    Of a causal model it is that of the two whole sequences, their ends included,
    :math:`\log p(\text{variant}) - \log p(\text{sequence})`; what is before the first changed
    residue is computed once for all, where a cache can continue the model. Of a model that was
    trained on hidden nodes it is, with the changed residues hidden,
    :math:`\sum_i \log p(x'_i) - \log p(x_i)`, the masked marginals of `Meier et al.
    <https://doi.org/10.1101/2021.07.09.450648>`_: a pass for each place, not for each variant.

    Args:
        task (Task): A trained :class:`LanguageModeling` or :class:`Masked`; its model is put into
            eval mode.
        tokenizer (Tokenizer): Of its symbols, one a letter.
        whole (bool): Of a causal model: False takes the same sum over the changed residues alone,
            each given the sequence's own before it, all of it in one pass.

    Attributes:
        letters (list of str): The A symbols that a residue can become.

    Raises:
        ValueError: If the task tells no likelihood of letters.
    """

    def __init__(self, task: Task, tokenizer: Tokenizer | None, *, whole: bool = True):
        if not isinstance(task, LanguageModeling | Masked):
            raise ValueError(
                "variants are scored by a language model, or by a model that was trained with "
                "task=masked on sequences"
            )
        symbols = [] if tokenizer is None else tokenizer.symbols
        letters = symbols[len(SPECIALS) : getattr(tokenizer, "first_extra", 0)]
        if not letters or any(len(symbol) != 1 for symbol in letters):
            raise ValueError("variants are scored of sequences whose symbols are letters")
        self.task, self.letters = task, list(letters)
        self.masked = isinstance(task, Masked)
        # Where a residue is scored by what is known at its own place.
        self.marginal = self.masked or not whole
        self.numbers = {letter: tokenizer.token_id(letter) for letter in letters}
        self.names, self.tokenizer = symbols, tokenizer
        task.model.eval()

    def residues(self, data: Data) -> list[str]:
        """The letters of an item, as it is seen."""
        return [self.names[token] for token in data.token[self._start(data) :].tolist()]

    def check(self, variant: Sequence[Mutation]) -> None:
        """See that the model knows the letters of a variant.

        Raises:
            ValueError: If it does not.
        """
        for mutation in variant:
            if mutation.letter not in self.numbers:
                raise ValueError(f"the model does not know the residue {mutation.letter}")

    def singles(self, data: Data) -> Tensor:
        """Every single mutant.

        Args:
            data (Data): An item of the model's data, a sequence of L residues.

        Returns:
            ``[L, A]``: 0 where the letter is the sequence's own, NaN where that is no letter.
        """
        sequence = self.residues(data)
        scores = torch.full((len(sequence), len(self.letters)), torch.nan)
        known = [place for place, letter in enumerate(sequence) if letter in self.numbers]
        columns = torch.tensor([self.numbers[letter] for letter in self.letters])
        if self.marginal:
            at_places = self._marginals(data, [(place,) for place in known])
            for place, (log_p,) in zip(known, at_places, strict=True):
                own = log_p[self.numbers[sequence[place]]]
                scores[place] = (log_p[columns] - own).cpu()
            return scores
        variants = [
            [Mutation(place, letter)]
            for place in known
            for letter in self.letters
            if letter != sequence[place]
        ]
        found = self._ratios(data, variants).tolist()
        for place in known:
            scores[place, self.letters.index(sequence[place])] = 0.0
        for (mutation,), score in zip(variants, found, strict=True):
            scores[mutation.place, self.letters.index(mutation.letter)] = score
        return scores

    def listed(self, data: Data, variants: Sequence[Sequence[Mutation]]) -> Tensor:
        """The variants of a list, ``[n]``.

        Args:
            data (Data): An item of the model's data.
            variants (list): Of each its mutations, see :func:`read_variant`.

        Raises:
            ValueError: If the model does not know a letter.
        """
        for variant in variants:
            self.check(variant)
        if not self.marginal:
            return self._ratios(data, variants)
        places = [tuple(sorted(mutation.place for mutation in variant)) for variant in variants]
        different = list(dict.fromkeys(places))  # a pass for each set of places
        known = dict(zip(different, self._marginals(data, different), strict=True))
        sequence, scores = self.residues(data), []
        for variant, of_variant in zip(variants, places, strict=True):
            log_p, score = known[of_variant], 0.0
            for mutation in variant:
                row = log_p[of_variant.index(mutation.place)]
                own = self.numbers.get(sequence[mutation.place])
                if own is None:
                    score = torch.nan
                    break
                score += float(row[self.numbers[mutation.letter]] - row[own])
            scores.append(score)
        return torch.tensor(scores)

    def _start(self, data: Data) -> int:
        """The node of the first residue: behind the token that begins a sequence, if it does."""
        return int(self.names[int(data.token[0])] in SPECIALS[:1])

    def _ratios(self, data: Data, variants: Sequence[Sequence[Mutation]]) -> Tensor:
        """Of whole sequences, by a causal model."""
        start = self._start(data)
        if not (start and getattr(self.task.model, "continuable", False)):
            return self._of_whole(data, variants)
        changes = [
            {place + start: self.numbers[letter] for place, letter in variant}
            for variant in variants
        ]
        return log_ratios(self.task.model, data.clone().to(self.task.device), changes)

    @torch.no_grad()
    def _of_whole(self, data: Data, variants: Sequence[Sequence[Mutation]]) -> Tensor:
        """The same by a pass over each sequence, which any causal model can do."""
        own = self._log_likelihoods([data])[0]
        mutants = (self._mutant(data, variant) for variant in variants)
        parts, size = [], max(1, TOKENS // data.num_nodes)
        for chunk in _chunks(mutants, size, len(variants)):
            parts.append(self._log_likelihoods(chunk) - own)
        return torch.cat(parts) if parts else torch.empty(0)

    def _log_likelihoods(self, items: list[Data]) -> Tensor:
        """Of each item, the sum over what is scored of it."""
        batch = Batch.from_data_list(items).to(self.task.device)
        logits = fast(self.task.model, batch).float()
        scored = batch.y != IGNORED
        log_p = logits.log_softmax(-1).gather(1, batch.y.clamp(min=0).unsqueeze(1)).squeeze(1)
        total = log_p.new_zeros(len(items)).double()
        return total.index_add(0, batch.batch, log_p.masked_fill(~scored, 0).double()).cpu()

    def _mutant(self, data: Data, variant: Sequence[Mutation]) -> Data:
        data, start = data.clone(), self._start(data)
        for mutation in variant:
            node, number = mutation.place + start, self.numbers[mutation.letter]
            data.token[node] = number
            if node:
                data.y[node - 1] = number
        return data

    def _marginals(self, data: Data, places: Sequence[tuple[int, ...]]) -> Iterator[Tensor]:
        """The log probabilities of all symbols at some places, ``[n, V]`` of each."""
        if self.masked:
            yield from self._hidden(data, places)
            return
        start = self._start(data)
        with torch.no_grad():
            logits = fast(self.task.model, Batch.from_data_list([data]).to(self.task.device))
        log_p = logits.float().log_softmax(-1).cpu()
        log_p = torch.cat([torch.full_like(log_p[:1], torch.nan), log_p])  # [node + 1]
        for of_one in places:  # what stands at a node is said by the one before it
            yield log_p[[place + start for place in of_one]]

    @torch.no_grad()
    def _hidden(self, data: Data, places: Sequence[tuple[int, ...]]) -> Iterator[Tensor]:
        """The same at places that are hidden together."""
        size = max(1, TOKENS // data.num_nodes)
        for chunk in _chunks(iter(places), size, len(places)):
            batch = Batch.from_data_list([data] * len(chunk)).to(self.task.device)
            nodes = torch.tensor(
                [i * data.num_nodes + place for i, of_one in enumerate(chunk) for place in of_one],
                device=self.task.device,
            )
            with self.task.hiding(nodes):
                log_p = fast(self.task.model, batch)[nodes].float().log_softmax(-1)
            yield from log_p.cpu().split([len(of_one) for of_one in chunk])


def _chunks(items: Iterator[T], size: int, total: int) -> Iterator[list[T]]:
    """Lists of so many items, with a bar where there is more than one and someone to look at it."""
    lists = iter(lambda: list(islice(items, size)), [])
    return progress(lists, -(-total // size), "scoring variants", many=1)


def variant_name(sequence: Sequence[str], mutation: Mutation) -> str:
    """As the field writes it: ``A24G``."""
    return f"{sequence[mutation.place]}{mutation.place + 1}{mutation.letter}"
