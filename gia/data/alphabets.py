"""Letters that an alphabet lacks: how many there are, and which alphabet was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from gia.data.items import Items
from gia.data.tokenizer import AMINO_ACIDS, Tokenizer

# More than this share of unknown letters is no slip of the pen: the alphabet is the wrong one.
LARGEST_SHARE = 0.1
LARGEST_OF_FEW = 0.5  # of those that a trained model reads
# What is written for any residue, or any base, says itself that it is not known.
ANY = frozenset("NX")
KINDS = {"DNA": "ACGT", "RNA": "ACGU", "DNA and RNA": "ACGTU", "proteins": AMINO_ACIDS}
# This share of the letters makes a kind likely, from so many letters on.
LIKELY, ENOUGH = 0.95, 100


class Letters:
    """Counts of the letters of all sequences that are read, for :class:`gia.data.items.Items`.

    Args:
        tokenizer: which letters it knows.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.counts: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._first: str | None = None

    def add(self, name: str, letters: str) -> None:
        """Those of one sequence."""
        found = Counter(letters)
        strange = self._tokenizer.count_unknown("".join(found))
        if strange and self._first is None:
            self._first = name
        self._unknown.update({letter: found[letter] for letter in strange})
        self.counts.update(found)

    def tell(self, items: Items) -> None:
        """Enter what was counted."""
        items.unknown, items.letters = dict(sorted(self._unknown.items())), dict(self.counts)
        items.first_unknown = self._first


def likely_kind(letters: Mapping[str, int]) -> str | None:
    """``"DNA"``, ``"RNA"``, ``"DNA and RNA"`` or ``"proteins"``, if the letters look like it.

    Args:
        letters: how often each occurs.
    """
    total = sum(letters.values())
    for kind, alphabet in KINDS.items():
        known = sum(n for letter, n in letters.items() if letter.upper() in {*alphabet, *ANY})
        if total and known >= LIKELY * total:
            return kind
    return None


def alphabet_notes(letters: Mapping[str, int], tokenizer: Tokenizer) -> list[str]:
    """What is to be said of letters that are read as amino acids although they seem to be none.

    Every nucleotide but U has the letter of an amino acid.

    Args:
        letters: how often each occurs.
        tokenizer: what reads them.
    """
    kind, present = likely_kind(letters), {letter.upper() for letter in letters}
    if kind in (None, "proteins") or getattr(tokenizer, "alphabet", "") != AMINO_ACIDS:
        return []
    if sum(letters.values()) < ENOUGH or not present >= {*KINDS[kind]}:
        return []
    return [f"these look like {kind}, read as amino acids: data.alphabet={KINDS[kind]} fits"]


def check_letters(items: Items, tokenizer: Tokenizer | None, *, predicting: bool) -> None:
    """See that the alphabet knows most letters. N and X count as known: they stand for any.

    Args:
        items: with their letters, known and unknown; a text has none.
        tokenizer: of the letters.
        predicting: for a trained model, whose alphabet cannot be changed: a few short sequences may
            hold more unknown letters then, unless they look like another kind.

    Raises:
        ValueError: if more than a tenth is unknown, with the symbols, their share and a way out.
    """
    total = sum(items.letters.values())
    unknown = {s: n for s, n in items.unknown.items() if s.upper() not in ANY}
    share = sum(unknown.values()) / max(1, total)
    if not total or share <= LARGEST_SHARE:
        return
    alphabet = getattr(tokenizer, "alphabet", "")
    known = f"data.alphabet={alphabet}" if alphabet else "the tokenizer's vocabulary"
    kind = _other_kind(items.letters, unknown, alphabet)
    if predicting and kind is None and share <= LARGEST_OF_FEW:
        return
    most = sorted(unknown, key=unknown.get, reverse=True)
    listed = ", ".join(f"{symbol!r} ({unknown[symbol]:,})" for symbol in most[:5])
    listed += f" and {len(most) - 5:,} other symbols" if len(most) > 5 else ""
    looks = f"these look like {kind}" if kind else "these may be no sequences at all"
    way = "the model was trained on other letters" if predicting else _way(kind, most, alphabet)
    raise ValueError(
        f"{share:.1%} of all letters are not in {known}: {listed}, first in record "
        f"{items.first_unknown!r}; {looks}: {way}"
    )


def _other_kind(
    letters: Mapping[str, int], unknown: Mapping[str, int], alphabet: str
) -> str | None:
    """What the letters look like, if that is no kind of the alphabet's."""
    if {*"(=#"} & unknown.keys():
        return "SMILES"
    kind = likely_kind(letters)
    return None if kind is None or {*KINDS[kind]} <= {*alphabet} else kind


def _way(kind: str | None, unknown: Sequence[str], alphabet: str) -> str:
    if kind == "SMILES":
        return "use data=molecules"
    if kind:
        return f"give data.alphabet={KINDS[kind]}"
    more = {symbol.upper() for symbol in unknown}
    if all(symbol.isascii() and symbol.isalpha() for symbol in more):
        return f"if they are, give data.alphabet={alphabet}{''.join(sorted(more))}"
    return "look at the file, and at data.sequence_column if it is a table"
