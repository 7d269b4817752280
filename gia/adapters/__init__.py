"""Adapters of frozen language models that pass messages along the model's own attention."""

from gia.adapters.base_attention import base_attention
from gia.adapters.config import SparseGINConfig
from gia.adapters.families import FAMILIES, Family
from gia.adapters.files import save
from gia.adapters.graph_lora import GraphLoRA
from gia.adapters.graph_lora_config import GraphLoRAConfig
from gia.adapters.graphs import graphs
from gia.adapters.initialize import initialize
from gia.adapters.layer import SparseGIN
from gia.adapters.learned import learned
from gia.adapters.learning_rates import lr_factors
from gia.adapters.load import load, load_published
from gia.adapters.merge import merge
from gia.adapters.model import (
    active,
    add,
    disable,
    disabled,
    enable,
    extra_edges,
    names,
    parameters,
    remove,
    set,
)
from gia.adapters.peft_weights import load_lora
from gia.adapters.pretrained import PretrainedLM, load_base
from gia.adapters.published import from_published
from gia.adapters.tuning import FullFineTuning, LoRA
from gia.adapters.weights import EdgeWeights

__all__ = [
    "FAMILIES",
    "EdgeWeights",
    "Family",
    "FullFineTuning",
    "GraphLoRA",
    "GraphLoRAConfig",
    "LoRA",
    "PretrainedLM",
    "SparseGIN",
    "SparseGINConfig",
    "active",
    "add",
    "base_attention",
    "disable",
    "disabled",
    "enable",
    "extra_edges",
    "from_published",
    "graphs",
    "initialize",
    "learned",
    "load",
    "load_base",
    "load_lora",
    "load_published",
    "lr_factors",
    "merge",
    "names",
    "parameters",
    "remove",
    "save",
    "set",
]
