"""Train, validation and test."""

from gia.data.splits.assign import (
    contiguous_split,
    given_split,
    no_split,
    random_split,
    scaffold_split,
    similarity_split,
)
from gia.data.splits.file import file_split
from gia.data.splits.kfold import kfold_split
from gia.data.splits.parts import PARTS, EmptyPart, Split
from gia.data.splits.scaffold import scaffolds
from gia.data.splits.similarity import clusters
from gia.data.splits.splitter import SPLITS, Splitter

__all__ = [
    "PARTS",
    "SPLITS",
    "EmptyPart",
    "Split",
    "Splitter",
    "clusters",
    "contiguous_split",
    "file_split",
    "given_split",
    "kfold_split",
    "no_split",
    "random_split",
    "scaffold_split",
    "scaffolds",
    "similarity_split",
]
