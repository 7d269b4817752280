"""Datasets that gia reads itself; any other of PyG's has the same place."""

from gia.data.datasets.base import Dataset
from gia.data.datasets.compositions import Compositions
from gia.data.datasets.compounds import Compounds
from gia.data.datasets.counting import Counting
from gia.data.datasets.crystals import Crystals
from gia.data.datasets.fasta import Fasta
from gia.data.datasets.instruct import Instruct
from gia.data.datasets.molecules import Molecules
from gia.data.datasets.peptides import Peptides
from gia.data.datasets.protein_structures import ProteinStructures
from gia.data.datasets.records import Records, to_data
from gia.data.datasets.residues import ResidueFasta
from gia.data.datasets.sequences import Record, SequenceDataset, Sequences
from gia.data.datasets.structures import Structures
from gia.data.datasets.table import TableDataset
from gia.data.datasets.text import Text
from gia.data.datasets.tu import TU
from gia.data.datasets.windowing import windows

__all__ = [
    "TU",
    "Compositions",
    "Compounds",
    "Counting",
    "Crystals",
    "Dataset",
    "Fasta",
    "Instruct",
    "Molecules",
    "Peptides",
    "ProteinStructures",
    "Record",
    "Records",
    "ResidueFasta",
    "SequenceDataset",
    "Sequences",
    "Structures",
    "TableDataset",
    "Text",
    "to_data",
    "windows",
]
