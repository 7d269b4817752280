"""The language models that are held against each other, equal in parameters."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

import torch
from peers import llama
from torch import nn

from gia.attention import AttentionAdjacency, DotProductScore, Softmax
from gia.nn import (
    Block,
    GINAttention,
    LanguageModel,
    PNAAttention,
    SoftmaxAttention,
    SwiGLU,
    count_parameters,
    match_width,
)

ATTENTIONS = {"gin": GINAttention, "pna": PNAAttention, "softmax": SoftmaxAttention}
PEER = "hf_llama"
ALIGNED = 8  # matrix products like sizes that are multiples of it
TOLERANCE = 0.01


def add_model_arguments(parser: ArgumentParser) -> None:
    """The arguments that :func:`language_models` reads."""
    add = parser.add_argument
    add("--width", type=int, default=256, help="channels D of a node")
    add("--heads", type=int, default=4, help="heads H")
    add("--depth", type=int, default=4, help="number of blocks")
    add("--hidden", type=int, default=688, help="hidden channels of the Llama's MLP")
    names = list(ATTENTIONS)
    add("--attentions", nargs="+", choices=names, default=names, help="of gia's models")


def language_models(args: Namespace, vocab_size: int) -> dict[str, nn.Module]:
    """Hugging Face's Llama, and gia's models with as many parameters by choice of the MLP's width.

    Returns:
        The models by name, the peer last.
    """
    sizes = {"vocab_size": vocab_size, "width": args.width, "heads": args.heads}
    peer = llama(**sizes, depth=args.depth, hidden=args.hidden)
    models = {}
    for name in args.attentions:

        def build(hidden: int, name: str = name) -> LanguageModel:
            return gia_model(name, hidden, depth=args.depth, **sizes)

        models[name] = build(_hidden(build, count_parameters(peer)))
    return {**models, PEER: peer}


def gia_model(
    attention: str, hidden: int, *, vocab_size: int, width: int, heads: int, depth: int
) -> LanguageModel:
    """One of gia's models, with so many hidden channels in its MLPs."""
    adjacency = AttentionAdjacency(score=DotProductScore(width, heads), normalize=Softmax())
    layer = ATTENTIONS[attention](width, heads, adjacency=adjacency)
    block = Block(width, attention=layer, mlp=SwiGLU(width, hidden))
    return LanguageModel(vocab_size=vocab_size, width=width, heads=heads, depth=depth, block=block)


def _hidden(build: Callable[[int], nn.Module], target: int) -> int:
    """The MLP width that matches best, among the aligned ones if one of them is close enough."""
    exact = match_width(build, target, tolerance=TOLERANCE)
    aligned = max(round(exact / ALIGNED), 1) * ALIGNED
    with torch.device("meta"):
        size = count_parameters(build(aligned))
    return aligned if abs(size - target) <= TOLERANCE * target else exact


def describe(models: dict[str, nn.Module]) -> str:
    """The models' parameter counts in a line."""
    counts = (f"{name} {count_parameters(model):,}" for name, model in models.items())
    return f"parameters: {', '.join(counts)}"
