"""Sampling from a language model."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor
from torch_geometric.data import Data

from gia.attention import Cache
from gia.nn.models.transformer import LanguageModel


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
    use_cache: bool | None = None,
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
        use_cache (bool, optional): Remember keys and features of the tokens so far; without, every
            token costs a pass over its whole sequence. Left out, it is done wherever the model's
            graphs can be continued.

    Returns:
        Prompt and continuation of each, ending with ``stop`` if it was met.

    Raises:
        ValueError: If a setting is out of its range or a prompt is empty.
    """
    check_sampling(prompts, max_new_tokens, temperature, top_k, top_p)
    if not prompts:
        return []
    was_training = model.training
    model.eval()
    try:
        return _continue(
            model,
            prompts,
            max_new_tokens,
            lambda logits: _sample(logits, temperature, top_k, top_p, generator),
            stop=stop,
            forbid=forbid,
            use_cache=model.continuable if use_cache is None else use_cache,
        )
    finally:
        model.train(was_training)


def check_sampling(
    prompts: Sequence[Tensor],
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> None:
    """Look at the settings of :func:`generate`.

    Raises:
        ValueError: If one is out of its range, or a prompt is empty.
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


def _continue(
    model: LanguageModel,
    prompts: Sequence[Tensor],
    max_new_tokens: int,
    sample: Callable[[Tensor], Tensor],
    *,
    stop: int | None,
    forbid: Sequence[int],
    use_cache: bool,
) -> list[Tensor]:
    lengths = [prompt.numel() for prompt in prompts]
    capacity = max(lengths) + max_new_tokens
    cache = Cache(len(model.blocks), capacity) if use_cache else None
    sequences = prompts[0].new_zeros(len(prompts), capacity)
    for sequence, prompt in zip(sequences, prompts, strict=True):
        sequence[: prompt.numel()] = prompt
    # Sequences not ended yet: their numbers, and the position of the next token of each.
    active = list(range(len(prompts)))
    rows = torch.arange(len(prompts), device=sequences.device)
    pos = torch.tensor(lengths, device=sequences.device)
    batch = _whole([*prompts])
    for _ in range(max_new_tokens):
        logits = model(batch, cache)[batch.ptr[1:] - 1].float()  # [number of active, V]
        logits[:, list(forbid)] = -torch.inf
        token = sample(logits)
        sequences[rows, pos] = token
        for number in active:
            lengths[number] += 1
        if stop is not None:
            left = (token != stop).nonzero().flatten().tolist()
            if len(left) < len(active):
                active = [active[place] for place in left]
                if not active:
                    break
                rows, token, pos = rows[left], token[left], pos[left]
                if cache is not None:
                    cache.keep(left)
        if cache is None:
            batch = _whole([sequences[number, : lengths[number]] for number in active])
        else:
            batch = _next(token, pos)
        pos = pos + 1
    return [row[:length].clone() for row, length in zip(sequences, lengths, strict=True)]


def _whole(sequences: list[Tensor]) -> Data:
    """A batch of whole sequences."""
    sizes = [sequence.numel() for sequence in sequences]
    token = torch.cat(sequences)
    return Data(
        token=token,
        seq_pos=torch.cat([torch.arange(size, device=token.device) for size in sizes]),
        ptr=torch.tensor([0, *accumulate(sizes)], device=token.device),
        num_nodes=token.numel(),
        num_nodes_per_graph=sizes,
    )


def _next(token: Tensor, pos: Tensor) -> Data:
    """A batch of one more token for each sequence."""
    number = token.numel()
    ptr = torch.arange(number + 1, device=token.device)
    return Data(
        token=token, seq_pos=pos, ptr=ptr, num_nodes=number, num_nodes_per_graph=[1] * number
    )


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
