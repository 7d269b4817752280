"""LoRA that PEFT has trained, as a Graph-LoRA adapter whose g is 0."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gia.adapters.decoder import DEFAULT, Decoder, decoder
from gia.adapters.files import CONFIG, WEIGHTS, kind_of, state_of
from gia.adapters.graph_lora import GraphLoRA
from gia.adapters.graph_lora_config import GraphLoRAConfig
from gia.adapters.kinds import make
from gia.adapters.load import add_filled

# Settings of PEFT's LoRA that change what it computes, and the value that Graph-LoRA has.
FIXED = {
    "use_dora": False,
    "use_rslora": False,
    "lora_bias": False,
    "bias": "none",
    "rank_pattern": {},
    "alpha_pattern": {},
    "modules_to_save": None,
    "target_parameters": None,
}


def load_lora(
    model: nn.Module,
    folder: str | PathLike,
    config: GraphLoRAConfig | None = None,
    name: str = DEFAULT,
) -> None:
    """Add a Graph-LoRA adapter that starts as a LoRA which PEFT has saved: it computes the same.

    Args:
        model (nn.Module): As for :func:`gia.adapters.add`; the base without PEFT's LoRA.
        folder (path): What PEFT's ``save_pretrained`` wrote.
        config (GraphLoRAConfig, optional): The graph, and how it is trained; rank, alpha and target
            modules are the file's.
        name (str): What it is called.

    Raises:
        OSError: If a file is missing or cannot be read.
        ValueError: If it is no LoRA, or one that Graph-LoRA cannot be. The model is then as it was.
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} holds no {file}: it is not a LoRA of PEFT's")
    if (kind := kind_of(folder)) != "LORA":
        raise ValueError(
            f"{folder} holds a {kind} adapter and no LoRA of PEFT's: gia.adapters.load takes gia's"
        )
    settings = json.loads((folder / CONFIG).read_text())
    for key, value in FIXED.items():
        if (settings.get(key) or None) != (value or None):
            raise ValueError(
                f"{folder} has {key}={settings[key]!r}, which Graph-LoRA has not: only {value!r}"
            )
    base, state = decoder(model), load_file(folder / WEIGHTS)
    found = _by_place(base, state, folder)
    targets = sorted({path for _, path, _ in found})
    config = replace(
        config or GraphLoRAConfig(),
        r=settings["r"],
        lora_alpha=settings["lora_alpha"],
        target_modules=targets,
        layers=sorted({number for number, _, _ in found}),
    )
    add_filled(model, config, _stacked(make(config, base), found, folder), name, str(folder))


def _by_place(
    base: Decoder, state: Mapping[str, Tensor], folder: Path
) -> dict[tuple[int, str, str], Tensor]:
    """A and B of PEFT's by layer, name in the layer, and which of the two it is."""
    place = re.compile(rf".*\b{re.escape(base.family.layers)}\.(\d+)\.(.+)\.lora_([AB])\.weight")
    found = {}
    for key, value in state.items():
        match = place.fullmatch(key)
        if match is None:
            raise ValueError(
                f"{folder} has {key}, which is no LoRA of a linear layer of a decoder layer"
            )
        found[int(match[1]), match[2], match[3]] = value
    return found


def _stacked(
    parts: dict[int, GraphLoRA], found: dict[tuple[int, str, str], Tensor], folder: Path
) -> dict[str, Tensor]:
    """The weights of an adapter that is new but for them."""
    state: dict[str, Any] = state_of(parts)
    used = set()
    for number, part in parts.items():
        for key, bottleneck in part.groups.items():
            for which in ("A", "B"):
                places = [(number, path, which) for path in bottleneck.group.names]
                missing = [place for place in places if place not in found]
                if missing:
                    raise ValueError(f"{folder} lacks lora_{which} of {missing[0][1]} in {number}")
                used.update(places)
                state[f"{number}.groups.{key}.lora_{which}"] = torch.cat(
                    [found[place] for place in places]
                )
    unknown = [path for number, path, _ in found.keys() - used]
    if unknown:
        raise ValueError(f"{folder} has LoRA of {unknown[0]}, which the model has not")
    return state
