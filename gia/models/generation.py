"""Sampling from a language model."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from gia.models.transformer import LanguageModel


@torch.no_grad()
def generate(
    model: LanguageModel,
    prompts: Sequence[Tensor],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: int | None = None,
    forbid: Sequence[int] = (),
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """Continue each prompt, token by token.

    Args:
        model (LanguageModel): The model; put into eval mode meanwhile.
        prompts (list of Tensor): Token ids, ``[L]`` each, of any lengths above 0.
        max_new_tokens (int): The most tokens to add to each prompt.
        temperature (float): Divides the logits; 0 always takes the likeliest token.
        top_k (int, optional): Keep the k likeliest tokens.
        top_p (float, optional): Keep the likeliest tokens that together reach probability p.
        stop (int, optional): A sequence ends after this token.
        forbid (list of int): Tokens never generated, such as the one that starts a sequence.
        generator (torch.Generator, optional): For repeatable samples.

    Returns:
        Prompt and continuation of each, ending with ``stop`` if it was met.

    Raises:
        ValueError: If a setting is out of its range or a prompt is empty.
    """
    if any(prompt.numel() == 0 for prompt in prompts):
        raise ValueError("a prompt needs at least one token, for instance the start token")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, got {max_new_tokens}")
    if not temperature >= 0:
        raise ValueError(f"temperature must not be negative, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")

    was_training = model.training
    model.eval()
    sequences = list(prompts)
    active = list(range(len(sequences)))
    for _ in range(max_new_tokens):
        if not active:
            break
        batch = Batch.from_data_list([_as_data(sequences[index]) for index in active])
        logits = model(batch)[batch.ptr[1:] - 1].float()  # [number of active sequences, V]
        logits[:, list(forbid)] = -torch.inf
        tokens = _sample(logits, temperature, top_k, top_p, generator)
        for index, token in zip(active, tokens, strict=True):
            sequences[index] = torch.cat([sequences[index], token.view(1)])
        active = [index for index in active if stop is None or sequences[index][-1] != stop]
    model.train(was_training)
    return sequences


def _as_data(tokens: Tensor) -> Data:
    pos = torch.arange(tokens.numel(), device=tokens.device)
    return Data(token=tokens, pos=pos, num_nodes=tokens.numel())


def _sample(
    logits: Tensor,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator | None,
) -> Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k is not None and top_k < logits.size(-1):
        worst_kept = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < worst_kept, -torch.inf)
    probability = logits.softmax(-1)
    if top_p is not None:
        ranked, order = probability.sort(descending=True)
        enough = ranked.cumsum(-1) - ranked >= top_p  # reached p without this token
        probability = probability.scatter(1, order, ranked.masked_fill(enough, 0))
    return torch.multinomial(probability, 1, generator=generator).squeeze(1)
