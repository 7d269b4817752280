"""Sequences and molecules as PyG graphs: source -> graphs -> split -> loaders."""

from gia.data.base import BaseDataModule
from gia.data.compounds import Compounds
from gia.data.datamodule import SequenceDataModule
from gia.data.encodings import add_encodings, laplacian_eigenvectors
from gia.data.fasta import Fasta
from gia.data.graph_datamodule import GraphDataModule
from gia.data.graph_table import GraphSource, GraphTable, Rejected
from gia.data.labelled import LabelledPeptides, LabelledSequences
from gia.data.loader import SequenceLoader
from gia.data.molecules import Molecules
from gia.data.peptides import Peptides
from gia.data.sampler import BatchSampler, GraphBatchSampler, TokenBatchSampler
from gia.data.scaffold import scaffolds
from gia.data.sequence import Record, to_data, windows
from gia.data.similarity import clusters
from gia.data.splits import (
    Split,
    contiguous_split,
    given_split,
    kfold_split,
    no_split,
    random_split,
    scaffold_split,
    similarity_split,
)
from gia.data.table import Table
from gia.data.text import Text
from gia.data.tokenizer import ByteTokenizer, CharTokenizer, ResidueTokenizer, Tokenizer
from gia.data.tu import TU

__all__ = [
    "TU",
    "BaseDataModule",
    "BatchSampler",
    "ByteTokenizer",
    "CharTokenizer",
    "Compounds",
    "Fasta",
    "GraphBatchSampler",
    "GraphDataModule",
    "GraphSource",
    "GraphTable",
    "LabelledPeptides",
    "LabelledSequences",
    "Molecules",
    "Peptides",
    "Record",
    "Rejected",
    "ResidueTokenizer",
    "SequenceDataModule",
    "SequenceLoader",
    "Split",
    "Table",
    "Text",
    "TokenBatchSampler",
    "Tokenizer",
    "add_encodings",
    "clusters",
    "contiguous_split",
    "given_split",
    "kfold_split",
    "laplacian_eigenvectors",
    "no_split",
    "random_split",
    "scaffold_split",
    "scaffolds",
    "similarity_split",
    "to_data",
    "windows",
]
