"""Sequences as PyG graphs: source -> records -> graphs -> split -> loaders."""

from gia.data.datamodule import SequenceDataModule
from gia.data.fasta import Fasta
from gia.data.loader import SequenceLoader
from gia.data.peptides import Peptides
from gia.data.sampler import TokenBatchSampler
from gia.data.sequence import Record, to_data, windows
from gia.data.similarity import clusters
from gia.data.splits import Split, contiguous_split, no_split, random_split, similarity_split
from gia.data.table import Table
from gia.data.text import Text
from gia.data.tokenizer import ByteTokenizer, CharTokenizer, ResidueTokenizer, Tokenizer

__all__ = [
    "ByteTokenizer",
    "CharTokenizer",
    "Fasta",
    "Peptides",
    "Record",
    "ResidueTokenizer",
    "SequenceDataModule",
    "SequenceLoader",
    "Split",
    "Table",
    "Text",
    "TokenBatchSampler",
    "Tokenizer",
    "clusters",
    "contiguous_split",
    "no_split",
    "random_split",
    "similarity_split",
    "to_data",
    "windows",
]
