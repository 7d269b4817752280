"""``gia inspect``: the attention graphs of a model over one item, to look at."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig

from gia.cli.command import check_numbers, command
from gia.cli.items import console, given_item, read_items

if TYPE_CHECKING:  # --help needs no heavy library
    from torch import Tensor
    from torch_geometric.data import Data

    from gia.data.tokenizer import Tokenizer

READABLE = 40  # nodes of the item that is chosen where none is named
SHORT = 40  # letters of an input that it is called by
# The measures of a graph, in their order, in the room that a terminal has.
COLUMNS = ("dens.", "entropy", "self", "sink", "dist.", "recip.", "clust.", "gap", "small", "AUROC")
SPACES = ("▁", "Ġ")  # how tokenizers write the space before a word


@dataclass
class Looked:
    """An item and what draws attention over it.

    Attributes:
        item: The item.
        kind: What its ``text`` is, see :class:`gia.data.Items`.
        graphs: From the item to the graph of each layer.
        symbols: Names of the model's tokens, if it reads them as they are in the item.
        model: What the model is called.
    """

    item: Data
    kind: str
    graphs: Callable[[Data], Sequence[Data | None]]
    symbols: Sequence[str] | None
    model: str


@command("inspect")
def inspect(cfg: DictConfig) -> None:
    """Write a page, pictures and measures of the attention over one item."""
    from gia.analysis import inspect_attention, write_inspection
    from gia.data.depict import depiction_of
    from gia.data.node_labels import node_labels

    check_numbers(cfg, max_nodes=2)
    layers, heads = (_numbers(cfg, key) for key in ("layers", "heads"))
    folder = _folder(cfg.out)
    if cfg.ckpt_path is not None:
        looked = _of_checkpoint(cfg)
    elif cfg.base is not None:
        looked = _of_base(cfg)
    else:
        raise ValueError("give a trained model, ckpt_path=..., or a pretrained one, base=...")
    item = looked.item
    if item.num_nodes > cfg.max_nodes:
        raise ValueError(
            f"{item.name} has {item.num_nodes:,} nodes, and at most {cfg.max_nodes:,} are looked "
            "at: give a shorter input, another item=..., or a larger max_nodes"
        )
    start = time.perf_counter()
    if looked.symbols is None:
        labels = node_labels(item, looked.kind)
    else:
        labels = [_plain(looked.symbols[token]) for token in item.token.tolist()]
    found = inspect_attention(item, looked.graphs(item), labels, layers=layers, heads=heads)
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{looked.model}: {found.name}"
    depiction = depiction_of(item, looked.kind)
    page, *pictures = write_inspection(found, folder, title=title, depiction=depiction)
    _tell(found)
    reads = getattr(looked.graphs, "reads_edges", None)
    compared = any(of.agreement == of.agreement for of in found.measures.values())
    if compared and reads is not None and reads(item):
        console.print(
            "  the model reads these edges itself: that its attention agrees with them (AUROC) is "
            "use, no discovery",
            soft_wrap=True,
        )
    seconds = time.perf_counter() - start
    console.print(
        f"  {page}, and {len(pictures)} pictures, tables and graphs beside it, in {seconds:.1f} s",
        soft_wrap=True,
    )


def _numbers(cfg: DictConfig, key: str) -> list[int] | None:
    """Layers or heads, one or several."""
    value = cfg[key]
    if value is None:
        return None
    value = list(value) if isinstance(value, ListConfig) else [value]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in value):
        raise ValueError(f"{key} must be numbers from 1, such as {key}=[1,2], got {cfg[key]}")
    return value


def _folder(out: str) -> Path:
    """See that the folder can be written before any work is done for it."""
    folder = Path(out).expanduser()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"out={out} is a file: name a folder")
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(there, os.W_OK):
        raise PermissionError(f"out={out}: the folder {there} may not be written to")
    return folder


def _of_checkpoint(cfg: DictConfig) -> Looked:
    """An item of a trained model."""
    import torch

    from gia.analysis.summary import model_name
    from gia.nn import Ensemble
    from gia.tasks import LanguageModeling
    from gia.training import load_trained

    if cfg.adapter_path is not None:
        raise ValueError(
            "adapter_path= is of a pretrained model, base=...: a checkpoint has its own"
        )
    task, trained = load_trained(cfg.ckpt_path, trust=cfg.trust, base=cfg.base)
    if isinstance(task.model, Ensemble):
        console.print("  the checkpoint holds several models: the first is looked at")
        task.model = task.model.members[0]
    task.to("cuda" if torch.cuda.is_available() else "cpu")
    name, graphs = model_name(task.model), _drawing(task.model)
    if cfg.input is not None:
        _check_input(cfg)
        if isinstance(task, LanguageModeling):
            tokens = task.tokens(str(cfg.input)).to(task.device)
            return _of_tokens(cfg, task.model, tokens, task.tokenizer, name)
        items, source = given_item(trained, str(cfg.input), _short(cfg.input))
    else:
        items, source, attention = read_items(task, trained, cfg, structures=False)
        if attention.of_sequences:  # it is not given the structure
            graphs = attention
    kind = getattr(source, "items", source).kind
    tokenizer = getattr(source, "tokenizer", None)
    item = _some_item(items, cfg)
    # Atoms beside a sequence have names of their own.
    reads_tokens = item.get("token") is not None and item.get("x") is None
    symbols = tokenizer.symbols if tokenizer is not None and reads_tokens else None
    return Looked(item, kind, graphs, symbols, name)


def _of_base(cfg: DictConfig) -> Looked:
    """A text under a pretrained model, or an adapter of it."""
    import torch

    import gia.adapters
    from gia.adapters import PretrainedLM
    from gia.adapters.graphs import by_layer
    from gia.data.pretrained_tokenizer import PretrainedTokenizer

    if cfg.input is None:
        raise ValueError('a pretrained model is given a text: input="..."')
    _check_input(cfg)
    tokenizer, model = PretrainedTokenizer(cfg.base), PretrainedLM(cfg.base).eval()
    name = Path(cfg.base).name
    if cfg.adapter_path is not None:
        gia.adapters.load(model.lm, cfg.adapter_path)
        name += f" with {Path(cfg.adapter_path).name}"
    tokens = tokenizer.encode(str(cfg.input))
    if tokenizer.bos is not None:
        tokens = torch.cat([torch.tensor([tokenizer.bos]), tokens])
    looked = _of_tokens(cfg, model, tokens, tokenizer, name)
    if cfg.adapter_path is not None:
        looked.graphs = lambda item: by_layer(gia.adapters.graphs(model.lm, item.token[None]))
    return looked


def _check_input(cfg: DictConfig) -> None:
    if cfg.data.path is not None or cfg.item is not None or cfg.part is not None:
        raise ValueError("input= is the item itself: leave out data.path, part and item")
    if not str(cfg.input).strip():
        raise ValueError("input= is empty: give at least one symbol")
    try:
        str(cfg.input).encode()
    except UnicodeEncodeError as error:
        raise ValueError("input= has bytes that are no UTF-8") from error


def _of_tokens(
    cfg: DictConfig, model: Any, tokens: Tensor, tokenizer: Tokenizer, name: str
) -> Looked:
    """A text as its tokens."""
    import torch
    from torch_geometric.data import Data

    from gia.adapters import PretrainedLM

    context = model.context if isinstance(model, PretrainedLM) else None
    if context is not None and len(tokens) > context:
        raise ValueError(f"the input has {len(tokens):,} tokens, the model reads {context:,}")
    place = torch.arange(len(tokens), device=tokens.device)
    item = Data(token=tokens, seq_pos=place, num_nodes=len(tokens), name=_short(cfg.input))
    return Looked(item, "text", _drawing(model), tokenizer.symbols, name)


def _drawing(model: Any) -> Callable[[Data], Sequence[Data | None]]:
    """What draws a model's graphs: an adapter's, and a pretrained model's own without one."""
    from gia.adapters import PretrainedLM
    from gia.adapters.base_attention import base_attention
    from gia.analysis import ItemAttention

    if not isinstance(model, PretrainedLM):
        return ItemAttention(model)
    return lambda item: model.graphs(item) or base_attention(model.lm, item.token)


def _some_item(items: Sequence[Data], cfg: DictConfig) -> Data:
    """The item that is asked for, or the largest that is readable."""
    if not len(items):
        raise ValueError("there is no item to look at")
    asked = cfg.item
    if asked is None:
        sizes = [(data.num_nodes, place) for place, data in enumerate(items)]
        fitting = [size for size in sizes if size[0] <= READABLE] or [min(sizes)]
        return items[max(fitting, key=lambda size: (size[0], -size[1]))[1]]
    for place, data in enumerate(items):
        if str(asked) == str(data.name):
            return items[place]
    if isinstance(asked, int) and 0 <= asked < len(items):
        return items[asked]
    raise ValueError(
        f"item={asked}: there is no such name, and numbers go from 0 to {len(items) - 1:,}"
    )


def _plain(symbol: str) -> str:
    """A token as it is read: its space as one, ends of lines as a sign."""
    for space in SPACES:
        symbol = symbol.replace(space, " ")
    for end in ("\n", "Ċ", "<0x0A>", "\\x0a"):
        symbol = symbol.replace(end, "⏎")
    return _printable(symbol) if symbol.strip() else "␣"


def _printable(text: str) -> str:
    """A text without what no picture or file can hold."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _short(text: Any) -> str:
    from gia.analysis.figures import shortened

    return shortened(_printable(" ".join(str(text).split())), SHORT)


def _tell(found: Any) -> None:
    """At the console: the measures, a row for each layer, in the mean over its heads."""
    import numpy as np
    from rich.box import SIMPLE
    from rich.table import Table

    title = f"{found.name}, {len(found.labels):,} nodes"
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("layer", no_wrap=True)
    rows = {
        layer: np.array([of for (at, _), of in found.measures.items() if at == layer])
        for layer in found.heads
    }
    everything = np.concatenate([*rows.values()])
    known = [at for at in range(len(COLUMNS)) if not np.isnan(everything[:, at]).all()]
    for at in known:
        table.add_column(COLUMNS[at], justify="right", no_wrap=True)
    for layer, values in rows.items():
        there = [values[:, at][~np.isnan(values[:, at])] for at in known]
        table.add_row(str(layer), *(f"{of.mean():.2f}" if len(of) else "" for of in there))
    console.print(table)
    console.print("  means over heads; of each head in measures.csv")
