"""Letters that an alphabet lacks: how many there are, and which alphabet was meant."""

from __future__ import annotations

from collections.abc import Mapping

from gia.data.items import Items
from gia.data.tokenizer import AMINO_ACIDS, Tokenizer

# More than this share of unknown letters is no slip of the pen: the alphabet is the wrong one.
LARGEST_SHARE = 0.1
# What is written for any residue, or any base, says itself that it is not known.
ANY = frozenset("NX")
KINDS = {"DNA": "ACGT", "RNA": "ACGU", "DNA and RNA": "ACGTU", "proteins": AMINO_ACIDS}
# This share of the letters makes a kind likely, from so many letters on.
LIKELY, ENOUGH = 0.95, 100


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
        predicting: for a trained model, whose alphabet cannot be changed.

    Raises:
        ValueError: if more than a tenth is unknown, with the symbols, their share and a way out.
    """
    total = sum(items.letters.values())
    unknown = {s: n for s, n in items.unknown.items() if s.upper() not in ANY}
    if not total or sum(unknown.values()) <= LARGEST_SHARE * total:
        return
    alphabet = getattr(tokenizer, "alphabet", "")
    most = sorted(unknown, key=unknown.get, reverse=True)
    listed = ", ".join(f"{symbol!r} ({unknown[symbol]:,})" for symbol in most[:5])
    listed += f" and {len(most) - 5:,} other symbols" if len(most) > 5 else ""
    raise ValueError(
        f"{sum(unknown.values()) / total:.1%} of all letters are not in data.alphabet={alphabet}: "
        f"{listed}, first in record {items.first_unknown!r}; "
        + _way_out(items.letters, unknown, alphabet, predicting)
    )


def _way_out(
    letters: Mapping[str, int], unknown: Mapping[str, int], alphabet: str, predicting: bool
) -> str:
    kind = likely_kind(letters)
    looks = f"these look like {kind}" if kind else "these may be no sequences at all"
    if predicting:
        return (
            f"{looks}, and the model was trained on other letters: write X (or N) for what is not "
            "known, or take a model of this alphabet"
        )
    if {*"(=#"} & unknown.keys():
        return "these look like SMILES: use data=molecules"
    if kind and not {*KINDS[kind]} <= {*alphabet}:
        return f"{looks}: give data.alphabet={KINDS[kind]}"
    more = "".join(sorted({s.upper() for s in unknown if s.isalpha() and s.isascii()}))
    if len(more) == len({s.upper() for s in unknown}):
        return f"to read them too, give data.alphabet={alphabet}{more}"
    return f"{looks}: look at the file, and at data.sequence_column if it is a table"
