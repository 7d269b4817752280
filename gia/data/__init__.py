"""Any PyG dataset, a transform, a split, batches; :mod:`gia.data.schema` says what an item is."""

from gia.data.batcher import Batcher
from gia.data.bpe_tokenizer import BPETokenizer
from gia.data.collect import collect
from gia.data.components import join_components
from gia.data.datamodule import DataModule
from gia.data.datasets import (
    TU,
    Compositions,
    Compounds,
    Counting,
    Crystals,
    Dataset,
    Fasta,
    Instruct,
    Molecules,
    Peptides,
    ProteinStructures,
    Record,
    Records,
    ResidueFasta,
    SequenceDataset,
    Sequences,
    Structures,
    TableDataset,
    Text,
    to_data,
    windows,
)
from gia.data.items import Items, Rejected
from gia.data.loader import SequenceLoader
from gia.data.pretrained_tokenizer import PretrainedTokenizer
from gia.data.sampler import BatchSampler, GraphBatchSampler, TokenBatchSampler
from gia.data.splits import (
    Split,
    Splitter,
    clusters,
    contiguous_split,
    file_split,
    given_split,
    kfold_split,
    no_split,
    random_split,
    scaffold_split,
    scaffolds,
    similarity_split,
)
from gia.data.tokenizer import ByteTokenizer, CharTokenizer, ResidueTokenizer, Tokenizer
from gia.data.tokenizers import read_tokenizer
from gia.data.transforms import Chain, LaplacianPE, NextToken, laplacian_eigenvectors

__all__ = [
    "TU",
    "BPETokenizer",
    "BatchSampler",
    "Batcher",
    "ByteTokenizer",
    "Chain",
    "CharTokenizer",
    "Compositions",
    "Compounds",
    "Counting",
    "Crystals",
    "DataModule",
    "Dataset",
    "Fasta",
    "GraphBatchSampler",
    "Instruct",
    "Items",
    "LaplacianPE",
    "Molecules",
    "NextToken",
    "Peptides",
    "PretrainedTokenizer",
    "ProteinStructures",
    "Record",
    "Records",
    "Rejected",
    "ResidueFasta",
    "ResidueTokenizer",
    "SequenceDataset",
    "SequenceLoader",
    "Sequences",
    "Split",
    "Splitter",
    "Structures",
    "TableDataset",
    "Text",
    "TokenBatchSampler",
    "Tokenizer",
    "clusters",
    "collect",
    "contiguous_split",
    "file_split",
    "given_split",
    "join_components",
    "kfold_split",
    "laplacian_eigenvectors",
    "no_split",
    "random_split",
    "read_tokenizer",
    "scaffold_split",
    "scaffolds",
    "similarity_split",
    "to_data",
    "windows",
]
