"""What of a written sequence is residues: not its blanks, its gaps, nor the stop at its end."""

from __future__ import annotations

from collections import Counter

from gia.data.targets import separated
from gia.data.tokenizer import Tokenizer

GAPS = "-."  # of alignments and a3m
STOP = "*"  # what a stop codon is translated to
_WITHOUT_GAPS = str.maketrans("", "", GAPS)


def same_sequence(sequence: str) -> str:
    """What is the same for the same sequence, whatever its case, blanks, gaps and last stop."""
    return "".join(sequence.split()).translate(_WITHOUT_GAPS).rstrip(STOP).upper()


class Residues:
    """Takes off what is written between residues, and counts how often.

    Blanks and the gaps ``-`` and ``.`` are no residues wherever they stand, a stop ``*`` is none at
    the end; one inside stays, for an unknown symbol. What the tokenizer knows as a symbol of its
    own stays as well. Letters keep their case, which is the tokenizer's matter.

    Args:
        tokenizer: which symbols there are.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        unknown = tokenizer.count_unknown(f" {GAPS}{STOP}")
        self.blanks, self.stop = " " in unknown, STOP in unknown
        self.gaps = "".join(gap for gap in GAPS if gap in unknown)
        self._table = str.maketrans("", "", self.gaps)
        self._symbols, self._read = set(tokenizer.symbols), tokenizer.count_unknown
        self._sequences: Counter[str] = Counter()
        self._number_of_gaps = 0

    def __call__(self, sequence: str) -> str:
        """The residues of a sequence."""
        found = "".join(sequence.split()) if self.blanks else sequence
        self._sequences["blanks"] += len(found) < len(sequence)
        without = found.translate(self._table)
        self._sequences["gaps"] += len(without) < len(found)
        self._number_of_gaps += len(found) - len(without)
        residues = without.rstrip(STOP) if self.stop else without
        self._sequences["stops"] += len(residues) < len(without)
        self._sequences["inner stops"] += self.stop and STOP in residues
        self._sequences["lower case"] += self._loses_case(residues)
        return residues

    def aligned(self, cell: str, sequence: str, letters: bool) -> str:
        """A cell with one value for each written symbol, as one of those of its residues.

        A cell with another number of values stays as it is.

        Args:
            cell: the values.
            sequence: as it is written.
            letters: whether a value may be a letter, and not only a number or a word.
        """
        letters = letters and len(cell) == len(sequence)
        values = list(cell) if letters else separated(cell)
        if len(values) != len(sequence):
            return cell
        return ("" if letters else " ").join(values[place] for place in self._places(sequence))

    def notes(self) -> list[str]:
        """What was taken off or is easily missed, in words."""
        said = {
            "blanks": "had blanks between residues, which were left out",
            "gaps": f"had gaps ({' or '.join(self.gaps)}), which were left out: "
            f"{self._number_of_gaps:,} in all",
            "stops": f"ended in a stop ({STOP}), which was left out",
            "inner stops": f"have a stop ({STOP}) inside, which is read as <unk>",
            "lower case": "contain lower case (soft masking, insertions of an alignment or D-amino "
            "acids), read as upper case: a data.alphabet with letters of both cases keeps them "
            "apart",
        }
        return [f"{n:,} sequences {said[key]}" for key, n in self._sequences.items() if n]

    def _places(self, sequence: str) -> list[int]:
        """Where in a sequence its residues stand."""
        kept = [
            place
            for place, symbol in enumerate(sequence)
            if symbol not in self.gaps and not (self.blanks and symbol.isspace())
        ]
        while self.stop and kept and sequence[kept[-1]] == STOP:
            kept.pop()
        return kept

    def _loses_case(self, residues: str) -> bool:
        if residues.isupper():
            return False
        merged = {symbol for symbol in set(residues) if symbol.islower()} - self._symbols
        return bool(merged) and len(self._read("".join(merged))) < len(merged)
