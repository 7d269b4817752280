"""The search for better settings of a training: trials chosen by Optuna, each a process."""

from gia.search.search import Search
from gia.search.space import Dimension, Space
from gia.search.study import Stored, open_study

__all__ = ["Dimension", "Search", "Space", "Stored", "open_study"]
