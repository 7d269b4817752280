"""One decoder layer with its adapters: what they see of it, and where they act."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gia.adapters.attention_edges import ObservedAttention, all_pairs, fits_at_once, select
from gia.adapters.attention_function import OBSERVER, ObservedConfig
from gia.adapters.dense_rows import DenseRows
from gia.adapters.extra_edges import ExtraEdges
from gia.adapters.families import NAME, PARALLEL, Family
from gia.adapters.graph_lora import GraphLoRA
from gia.adapters.layer import SparseGIN
from gia.adapters.node_cache import with_node_cache
from gia.graph import Adjacency, EdgeAdjacency


@dataclass
class Pass:
    """What is known of one pass through a layer.

    Attributes:
        hidden (Tensor, optional): The layer's input, and later that of its MLP.
        cache: The layer of a cache of generation.
        positions (Tensor, optional): Of the new tokens in their sequences.
        shape (tuple of int): Sequences, queries and keys.
        recorded (bool): Whether attention was observed with gradients.
        graphs (dict of Adjacency): By adapter.
    """

    hidden: Tensor | None = None
    cache: Any = None
    positions: Tensor | None = None
    shape: tuple[int, int, int] = (0, 0, 0)
    recorded: bool = False
    graphs: dict[str, Adjacency] = field(default_factory=dict)


class AdaptedLayer(nn.Module):
    """The adapters of one decoder layer, hung onto it by hooks.

    Args:
        layer (nn.Module): The decoder layer.
        family (Family): Where its parts are.
        number (int): Which of the model's layers it is.
    """

    def __init__(self, layer: nn.Module, family: Family, number: int):
        super().__init__()
        self.adapters = nn.ModuleDict()
        self.active = ()
        self.enabled = True
        self.extra_edges: ExtraEdges | None = None
        self.linear_hooks: dict[str, Any] = {}  # of adapters that act on linear layers
        self.number = number
        self._parallel = family.residual == PARALLEL
        self._pass = Pass()
        layer.add_module(NAME, self)
        attention = layer.get_submodule(family.attention)
        attention.__dict__[OBSERVER] = self  # not as a submodule: the layer has it already
        self._config, attention.config = attention.config, ObservedConfig(attention.config, self)
        self._attention = (attention,)
        entry, mlp, mlp_residual = map(
            layer.get_submodule, (family.entry, family.mlp, family.mlp_residual)
        )
        self._hooks = [
            entry.register_forward_pre_hook(self._enter, with_kwargs=True),
            attention.register_forward_pre_hook(self._attend, with_kwargs=True),
            mlp.register_forward_pre_hook(self._before_mlp),
            mlp_residual.register_forward_hook(self._after_mlp),
            layer.register_forward_hook(self._leave),
        ]
        if not self._parallel:
            residual = layer.get_submodule(family.residual)
            self._hooks.append(residual.register_forward_hook(self._after_attention))

    @property
    def active(self) -> tuple[str, ...]:
        """The adapters in use, by name."""
        return self._active

    @active.setter
    def active(self, names: tuple[str, ...]) -> None:
        self._active = names
        self._positions = {self.adapters[name].config.position for name in names}

    @property
    def looks_on(self) -> bool:
        """Whether attention is to be observed."""
        return self.enabled and bool(self._active)

    def remove(self, layer: nn.Module) -> None:
        """Take everything off the layer."""
        for hook in self._hooks:
            hook.remove()
        (attention,) = self._attention
        del attention.__dict__[OBSERVER]
        attention.config = self._config
        delattr(layer, NAME)

    def drop(self, name: str) -> None:
        """Take an adapter off the layer."""
        hooks = self.linear_hooks.pop(name, None)
        if hooks is not None:
            hooks.remove()
        del self.adapters[name]

    def observe(self, observed: ObservedAttention) -> None:
        """Make the graphs of the active adapters; called by the layer's attention function."""
        sequences, _, queries, keys = observed.shape
        cache = self._pass.cache
        seen = None if cache is None else int(cache.get_seq_length())
        if seen is not None and seen < keys:  # the others are slots that are not used yet
            observed = replace(observed, first=seen - queries)
        self._pass.shape = (sequences, queries, keys)
        self._pass.recorded = torch.is_grad_enabled()
        for name in self.active:
            adapter: SparseGIN | GraphLoRA = self.adapters[name]
            if isinstance(adapter, GraphLoRA):
                adapter.observe(observed, self._pass.positions, seen, self._extend(name))
                continue
            position = self._source_position(name, observed) if adapter.config.sinks else None
            if self.extra_edges is None and adapter.takes_dense_rows and fits_at_once(observed):
                weights = adapter.weights
                pairs = all_pairs(observed, weights.needs_distance, weights.config.self_loops)
                self._pass.graphs[name] = DenseRows(weights.dense(*pairs, position))
                continue
            keep = partial(adapter.weights.keep, source_position=position)
            edges = select(observed, keep, adapter.config.edge_gradients)
            target = edges.sequence * queries + edges.target
            source = edges.sequence * keys + edges.source
            weight = adapter.weights(edges.attention, edges.distance, target, sequences * queries)
            index = torch.stack([source, target])
            if self.extra_edges is not None:
                index, weight = self.extra_edges.add_to(index, weight, observed, seen)
            self._pass.graphs[name] = EdgeAdjacency(index, weight, num_nodes=sequences * queries)

    def _source_position(self, adapter: str, observed: ObservedAttention) -> Tensor:
        """Where each key slot stands in its sequence, ``[B, K]``."""
        sequences, _, queries, keys = observed.shape
        positions = self._pass.positions
        if positions is None:
            positions = torch.arange(queries, device=observed.key.device) + observed.start
            positions = positions.unsqueeze(0)
        positions = positions.expand(sequences, queries)
        extend = self._extend(adapter)
        if extend is not None:
            positions = extend("position", positions.unsqueeze(-1)).squeeze(-1)
        if observed.mask is None:
            return positions
        # Slots that nothing sees are padding before a sequence, which models count if not told.
        seen = observed.allowed(slice(0, queries)).any(1).any(1).expand(sequences, keys)
        first = seen.long().argmax(1, keepdim=True)
        start = positions.gather(1, first)
        return positions - torch.where(first > 0, start, 0)

    def _enter(self, layer: nn.Module, args: tuple, kwargs: Mapping[str, Any]) -> None:
        self._pass = Pass()
        if self.looks_on:
            self._pass.hidden = args[0] if args else kwargs["hidden_states"]

    def _attend(self, attention: nn.Module, args: tuple, kwargs: Mapping[str, Any]) -> None:
        if self.looks_on:
            self._pass.cache = _cache_layer((*args, *kwargs.values()), attention.layer_idx)
            self._pass.positions = kwargs.get("position_ids")

    def _after_attention(self, module: nn.Module, args: tuple, output: Any) -> Any:
        if not self._acts("before_mlp"):
            return None
        out = _first(output)
        return self._changed(output, self._pass.hidden.to(out.device) + out, "before_mlp")

    def _before_mlp(self, mlp: nn.Module, args: tuple) -> None:
        if self._acts("beside_mlp"):
            self._pass.hidden = args[0]

    def _after_mlp(self, module: nn.Module, args: tuple, output: Any) -> Any:
        if not self.looks_on:
            return None
        changed = self._changed(output, self._pass.hidden, "beside_mlp")
        if not (self._parallel or self._acts("after_mlp")):
            # Where checkpointing runs the layer again, nothing else lets go of what was computed.
            self._pass = Pass()
        return changed

    def _leave(self, layer: nn.Module, args: tuple, output: Any) -> Any:
        if not (self._parallel or self._acts("after_mlp")):
            return None
        places = ("before_mlp", "after_mlp") if self._parallel else ("after_mlp",)
        changed = self._changed(output, _first(output), *places)
        self._pass = Pass()
        return changed

    def _acts(self, *positions: str) -> bool:
        """Whether an adapter in use acts at one of these positions."""
        return self.enabled and not self._positions.isdisjoint(positions)

    def _changed(self, output: Any, hidden: Tensor | None, *positions: str) -> Any:
        """The output of a module with what adapters make of a hidden state; None: as it is."""
        if not self._acts(*positions):
            return None
        out = _first(output)
        changed = out + self._delta(hidden, out, positions).to(out.dtype)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    def _delta(self, hidden: Tensor, onto: Tensor, positions: tuple[str, ...]) -> Tensor:
        """What the adapters of these positions add, ``[B, Q, D]``."""
        total = None
        for name in self.active:
            adapter: SparseGIN = self.adapters[name]
            if adapter.config.position not in positions:
                continue
            if "base_layer" in adapter.in_proj._modules:
                raise RuntimeError(
                    f"PEFT has hung its own adapter onto the projections of {name!r}, as "
                    "target_modules='all-linear' does on a model that has the adapter already: "
                    "get_peft_model first, then gia.adapters.add"
                )
            if name not in self._pass.graphs:
                raise RuntimeError(
                    f"layer {self.number} computed no attention that could be observed: was its "
                    "implementation changed? Remove the adapter, change it, add the adapter again"
                )
            if torch.is_grad_enabled() and not self._pass.recorded and adapter.weights.learns:
                raise RuntimeError(
                    f"layer {self.number} computed its attention without gradients, as reentrant "
                    "checkpointing does, so that those of the edges would be lost: checkpoint with "
                    "use_reentrant=False, or set edge_gradients=False"
                )
            delta = adapter(hidden, self._pass.graphs[name], self._extend(name), onto)
            total = delta if total is None else total + delta
        return total

    def _extend(self, adapter: str) -> Any:
        if self._pass.cache is None:
            return None
        layer, keys = with_node_cache(self._pass.cache), self._pass.shape[2]
        return lambda name, features: layer.extend(f"{adapter}.{name}", features, keys)


def _cache_layer(arguments: tuple, number: int) -> Any:
    """The layer of a cache among an attention's arguments, which versions name differently."""
    from transformers.cache_utils import Cache, DynamicSlidingWindowLayer, EncoderDecoderCache

    cache = next((value for value in arguments if isinstance(value, Cache)), None)
    if cache is None:
        return None
    if isinstance(cache, EncoderDecoderCache):
        cache = cache.self_attention_cache
    replicated = getattr(cache, "layer_class_to_replicate", None)
    while replicated is not None and len(cache.layers) <= number:  # it would make it in a moment
        cache.layers.append(replicated())
    layer = cache.layers[number]
    if getattr(layer, "is_sliding", False) and not isinstance(layer, DynamicSlidingWindowLayer):
        raise ValueError(
            "a static cache with a sliding window moves its keys around: generate with "
            "cache_implementation='dynamic'"
        )
    return layer


def _first(output: Any) -> Tensor:
    """What a module gives, without what it gives beside."""
    return output[0] if isinstance(output, tuple) else output
