"""Pretrained decoders of Hugging Face's on ragged batches, with what is trained of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torch_geometric.data import Batch, Data

from gia.adapters.decoder_head import logits_are_linear, logits_of_tokens, losses_of_tokens
from gia.adapters.graphs import by_layer, graphs
from gia.adapters.learned import learned
from gia.adapters.learning_rates import lr_factors
from gia.adapters.packing import Rows
from gia.adapters.tuning import Adapter, Tuning, tuning
from gia.data.pretrained_tokenizer import check_installed, not_loaded, place_of
from gia.data.schema import IGNORED
from gia.nn.models.generation import check_sampling
from gia.typing import OptTensor

DTYPES = ("float32", "bfloat16", "float16")


def load_base(base: str | PathLike, dtype: str = "float32") -> nn.Module:
    """A decoder of the Hugging Face hub, of a folder, or out of a GGUF file.

    On the meta device it has no weights: its size alone is of interest there.

    Raises:
        OSError: If there is none, or it cannot be read.
        ValueError: If the precision is none of those that there are.
    """
    check_installed()
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    if dtype not in DTYPES:
        raise ValueError(f"model.dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    name, where = place_of(base)
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        if torch.empty(0).is_meta:
            return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(name, **where))
        return AutoModelForCausalLM.from_pretrained(name, dtype=getattr(torch, dtype), **where)
    except (OSError, ValueError, KeyError) as error:
        raise not_loaded(base, error) from error
    finally:
        if shown:
            logging.enable_progress_bar()


class PretrainedLM(nn.Module):
    """A pretrained decoder, as a language model over the nodes of PyG ``Data``.

    Its ``state_dict`` holds what is trained, and nothing of a base that stays as it is: that is
    loaded from where it was.

    Args:
        base (str): A model of the Hugging Face hub, a folder, or a GGUF file.
        adapter (optional): What is trained: the configuration of an adapter of gia's,
            :class:`~gia.adapters.LoRA` or :class:`~gia.adapters.FullFineTuning`; None: nothing.
        dtype (str): Precision of the base: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        pack (bool): Whether short sequences share a row of what the decoder is given. None of them
            sees anything of another either way.
        max_length (int, optional): The longest sequence that there will be.

    Shapes:
        - **data:** ``token [N]`` of B sequences, with ``ptr [B + 1]`` if they are batched
        - **output:** logits of the next token, ``[N, V]``

    Raises:
        OSError: If there is no such base.
        ValueError: If the sequences are too long for it, or it cannot have the adapter.
    """

    def __init__(
        self,
        base: str | PathLike,
        adapter: Any = None,
        *,
        dtype: str = "float32",
        pack: bool = True,
        max_length: int | None = None,
    ):
        super().__init__()
        self.base, self.dtype, self.pack = str(base), dtype, pack
        self.lm = load_base(base, dtype)
        self.check_length(max_length)
        self._linear_logits: bool | None = None  # not known yet
        kept = {id(value) for value in self.lm.state_dict(keep_vars=True).values()}
        self.lm.requires_grad_(False).train()
        self.tuning: Tuning | None = None if adapter is None else tuning(adapter)
        if self.tuning is not None:
            self.tuning.attach(self.lm)
        if self.tuning is not None and not self.tuning.keeps_base:
            kept = set()
        # Of the base: what is in no checkpoint.
        state = super().state_dict(keep_vars=True)
        self._kept = frozenset(name for name, value in state.items() if id(value) in kept)

    @property
    def context(self) -> int | None:
        """The most tokens that the base can read, if it says so."""
        return getattr(self.lm.config.get_text_config(), "max_position_embeddings", None)

    @property
    def lr_factors(self) -> dict[str, float]:
        """Parameters with a learning rate of their own: see :func:`gia.adapters.lr_factors`."""
        return lr_factors(self)

    def check_length(self, length: int | None) -> None:
        """See that the base can read so many tokens.

        Raises:
            ValueError: If it cannot.
        """
        if None not in (length, self.context) and length > self.context:
            raise ValueError(
                f"{self.base} reads at most {self.context:,} tokens, but texts may have "
                f"{length:,}: give data.max_length={self.context} or less"
            )

    def state_dict(self, *args: Any, prefix: str = "", **kwargs: Any) -> dict[str, Any]:
        """What is trained; nothing of a base that stays as it is."""
        state = super().state_dict(*args, prefix=prefix, **kwargs)
        for name in self._kept:
            state.pop(prefix + name, None)
        return state

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        # The base is where it was: its parts read themselves.
        state = super().state_dict(keep_vars=True)
        state_dict.update({prefix + name: state[name] for name in self._kept})
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, data: Data) -> Tensor:
        """The logits of the token that follows each node."""
        return logits_of_tokens(self.lm, *self._rows(data))

    def losses(self, data: Data, y: Tensor) -> Tensor:
        """The cross-entropy of each token that is scored, where it can be without logits.

        Args:
            data (Data): As in :meth:`forward`.
            y (Tensor): The token that follows each node, ``[N]``; -100 where it is not scored.

        Returns:
            ``[M]`` for M scored tokens, in their order.
        """
        scored = (y != IGNORED).nonzero().squeeze(1)
        if self._linear_logits is None:
            self._linear_logits = logits_are_linear(self.lm)
        if not self._linear_logits:
            return cross_entropy(self(data)[scored].float(), y[scored], reduction="none")
        inputs, place = self._rows(data)
        return losses_of_tokens(self.lm, inputs, place[scored], y[scored])

    def _rows(self, data: Data) -> tuple[dict[str, Tensor], Tensor]:
        """What the decoder is given, and where in it the tokens lie."""
        rows = Rows.of(_sizes(data), pack=self.pack).to(data.token.device)
        return {"input_ids": rows.fill(data.token), "position_ids": rows.position}, rows.place

    @contextmanager
    def as_pretrained(self) -> Iterator["PretrainedLM"]:
        """The base without what was trained: this model with its adapter off, or, where the base
        itself is trained, another one out of its file."""
        if self.tuning is None:
            yield self
        elif self.tuning.keeps_base:
            with self.tuning.disabled(self.lm):
                yield self
        else:
            device = next(self.parameters()).device
            yield PretrainedLM(self.base, dtype=self.dtype, pack=self.pack).to(device).eval()

    @torch.no_grad()
    def graphs(self, data: Data) -> list[Batch | None]:
        """The graph that the adapter reads in each layer; none where it reads no graph.

        Args:
            data (Data): A single sequence.

        Returns:
            For each layer up to the adapter's last a ``Batch`` with ``edge_index [2, E]`` and
            ``edge_weight [E, H]``, H = 1 where heads share a graph; None where it has no part.
        """
        if not isinstance(self.tuning, Adapter):
            return []
        if getattr(self.tuning.config, "edges", "attention") is None:
            return []
        was_training = self.training
        self.eval()
        try:
            found = graphs(self.lm, data.token.unsqueeze(0))
        finally:
            self.train(was_training)
        for graph in found:
            if graph.edge_weight.dim() == 1:
                graph.edge_weight = graph.edge_weight.unsqueeze(1)
        return by_layer(found)

    def learned(self) -> dict[str, Tensor]:
        """What the adapter has learned of messages: see :func:`gia.adapters.learned`."""
        return learned(self.lm) if isinstance(self.tuning, Adapter) else {}

    @torch.no_grad()
    def generate(
        self,
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
        """Continue each prompt, as :func:`gia.nn.generate` does, with the decoder's own cache.

        Where prompt and continuation would be longer than the base can read, they end there.

        Raises:
            ValueError: If a setting is out of its range, or a prompt is empty or too long.
        """
        check_sampling(prompts, max_new_tokens, temperature, top_k, top_p)
        longest = max((len(prompt) for prompt in prompts), default=0)
        if self.context is not None:
            if longest >= self.context:
                raise ValueError(
                    f"the prompt has {longest:,} tokens, of which {self.base} reads fewer than "
                    f"{self.context:,}: give a shorter one"
                )
            max_new_tokens = min(max_new_tokens, self.context - longest)
        if not prompts or not max_new_tokens:
            return [prompt.clone() for prompt in prompts]
        device = next(self.parameters()).device
        left = {"batch_first": True, "padding_side": "left"}
        tokens = pad_sequence(list(prompts), **left).to(device)
        mask = pad_sequence([torch.ones_like(prompt) for prompt in prompts], **left).to(device)
        sampling = {"do_sample": False}
        if temperature > 0:
            sampling = {"do_sample": True, "temperature": temperature}
            sampling |= {"top_k": top_k or 0, "top_p": 1.0 if top_p is None else top_p}
        was_training = self.training
        self.eval()
        # Sampling draws from the global state, which is the training's own.
        with torch.random.fork_rng():
            if generator is not None:
                torch.manual_seed(generator.initial_seed())
            found = self.lm.generate(
                tokens,
                attention_mask=mask,
                max_new_tokens=max_new_tokens,
                eos_token_id=stop,
                pad_token_id=0 if stop is None else stop,
                suppress_tokens=list(forbid) or None,
                **sampling,
            )
        self.train(was_training)
        return [
            _ended(row[longest - len(prompt) :], len(prompt), stop)
            for row, prompt in zip(found, prompts, strict=True)
        ]


def _sizes(data: Data) -> list[int]:
    """Tokens of each sequence of a batch."""
    sizes: OptTensor | list = getattr(data, "num_nodes_per_graph", None)
    if sizes is None:
        ptr = getattr(data, "ptr", None)
        sizes = [data.num_nodes] if ptr is None else ptr.diff().tolist()
    return list(sizes)


def _ended(tokens: Tensor, prompt: int, stop: int | None) -> Tensor:
    """A sequence up to the token that ends it."""
    if stop is None:
        return tokens
    ends = (tokens[prompt:] == stop).nonzero()
    return tokens[: prompt + int(ends[0]) + 1] if len(ends) else tokens
