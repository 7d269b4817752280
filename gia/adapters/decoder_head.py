"""The head of a pretrained decoder: which tokens it is given, and what is lost by its answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from gia.ops.linear_cross_entropy import linear_cross_entropy


def logits_of_tokens(lm: nn.Module, inputs: dict[str, Tensor], place: Tensor) -> Tensor:
    """The logits of tokens alone, of all that lies in the rows of a decoder.

    Nothing is as large as the logits: they are made of tokens alone, and copied nowhere.

    Args:
        lm (Module): A decoder of Hugging Face's.
        inputs (dict): What it is given: R rows of C places.
        place (Tensor): Of each token, counted through all rows, ``[N]``.

    Returns:
        ``[N, V]``.
    """
    head = lm.get_output_embeddings()
    if head is None:
        return lm(**inputs, use_cache=False).logits.flatten(0, 1)[place]
    with _before(head, partial(_chosen, place)):
        return lm(**inputs, use_cache=False).logits[0]


def losses_of_tokens(
    lm: nn.Module, inputs: dict[str, Tensor], place: Tensor, target: Tensor
) -> Tensor:
    """The cross-entropy of tokens, without the logits of any.

    Args:
        lm, inputs, place: As in :func:`logits_of_tokens`; its :func:`logits_are_linear`.
        target (Tensor): The token that follows each, ``[N]``.

    Returns:
        ``[N]``.
    """
    found = []

    def score(head: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple:
        args, kwargs = _chosen(place, head, args, kwargs)
        (x,) = (*args, *kwargs.values())
        found.append(linear_cross_entropy(x[0], head.weight, target, head.bias))
        return (x[:, :0],), {}

    with _before(lm.get_output_embeddings(), score):
        lm(**inputs, use_cache=False)
    return found[0]


@torch.no_grad()
def logits_are_linear(lm: nn.Module) -> bool:
    """Whether the logits are what a linear layer makes of the last hidden state.

    Some decoders scale or bound them. That shows where the head is given, in the place of a hidden
    state, one of which it makes logits larger than any bound.
    """
    head, found = lm.get_output_embeddings(), []
    if type(head) is not nn.Linear:
        return False

    def probe(head: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple:
        found.append(len(args) + len(kwargs))
        return (x.view(1, 1, -1),), {}

    weight = head.weight
    x = torch.arange(weight.size(1), device=weight.device).cos().to(weight.dtype)
    x = x * (1000 / linear(x, weight).abs().max())
    # No padding, of which some decoders know nothing and others say that it should be masked.
    place = torch.zeros(1, 1, dtype=torch.long, device=weight.device)
    token = place + int(lm.config.get_text_config().pad_token_id == 0)
    modes = {module: module.training for module in lm.modules()}
    lm.eval()
    try:
        with _before(head, probe):
            logits = lm(input_ids=token, position_ids=place, use_cache=False).logits
    finally:
        for module, training in modes.items():
            module.training = training
    expected = linear(x, weight, head.bias).view_as(logits)
    return found == [1] and torch.equal(logits, expected.to(logits.dtype))


@contextmanager
def _before(head: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    """What the head is given goes through a hook."""
    handle = head.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _chosen(
    place: Tensor, head: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the head is given, in the order of the tokens: ``[R, C, D]`` to ``[1, N, D]``."""

    def chosen(value: Any) -> Any:
        return value.flatten(0, 1)[place].unsqueeze(0) if isinstance(value, Tensor) else value

    return tuple(map(chosen, args)), {name: chosen(value) for name, value in kwargs.items()}
