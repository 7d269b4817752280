"""The linear layers of a decoder layer, grouped by what they read."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from gia.adapters.families import NAME, Family

# Siblings that read the same input: their A are one matrix.
SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


@dataclass(frozen=True)
class LinearGroup:
    """Linear layers that read the same input.

    Attributes:
        names (tuple of str): Where they are in the decoder layer: ``("self_attn.o_proj",)``.
        in_features (int): Channels of the input.
        out_features (tuple of int): Channels of each output.
        before_attention (bool): Whether attention is made of what they compute.
    """

    names: tuple[str, ...]
    in_features: int
    out_features: tuple[int, ...]
    before_attention: bool

    @property
    def key(self) -> str:
        """A name for a module of modules, without dots: ``self_attn_q_proj_k_proj_v_proj``."""
        parent, _, first = self.names[0].rpartition(".")
        others = [name.rpartition(".")[2] for name in self.names[1:]]
        return "_".join([*parent.split("."), first, *others])


def linear_groups(
    layer: nn.Module, family: Family, targets: str | tuple[str, ...]
) -> list[LinearGroup]:
    """The targeted linear layers of a decoder layer.

    Args:
        layer (nn.Module): The decoder layer; what PEFT has wrapped counts as one linear layer.
        family (Family): Where its attention is.
        targets (str or tuple of str): ``"all-linear"``, or the last parts of names.
    """
    sizes = dict(_linear(layer))
    if targets != "all-linear":
        wanted = tuple(f".{target}" for target in targets)
        sizes = {name: size for name, size in sizes.items() if f".{name}".endswith(wanted)}
    output = f"{family.attention}.{family.output}"
    groups, done = [], set()
    for name, (in_features, _) in sizes.items():
        if name in done:
            continue
        parent, _, last = name.rpartition(".")
        family_of = next((group for group in SIBLINGS if last in group), (last,))
        paths = (f"{parent}.{sibling}" if parent else sibling for sibling in family_of)
        names = tuple(p for p in paths if p in sizes and sizes[p][0] == in_features)
        done.update(names)
        before = name.startswith(f"{family.attention}.") and name != output
        groups.append(LinearGroup(names, in_features, tuple(sizes[p][1] for p in names), before))
    return groups


def _linear(layer: nn.Module) -> Iterator[tuple[str, tuple[int, int]]]:
    """Names and sizes of the outermost linear layers."""
    inside = None
    for name, module in layer.named_modules():
        if inside is not None and name.startswith(inside):
            continue
        size = _size(module)
        if size is not None:
            inside = f"{name}."
            yield name, size
        elif name == NAME:
            inside = f"{name}."


def _size(module: nn.Module) -> tuple[int, int] | None:
    """Inputs and outputs of a linear layer; None for any other module."""
    size = getattr(module, "in_features", None), getattr(module, "out_features", None)
    if None not in size:
        return size
    if type(module).__name__ == "Conv1D" and hasattr(module, "nf"):  # GPT-2's, transposed
        return module.nx, module.nf
    return None
