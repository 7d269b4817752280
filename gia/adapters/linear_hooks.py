"""Hooks by which a Graph-LoRA adapter acts on the linear layers of a decoder."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gia.adapters.decoder import Decoder
from gia.adapters.decoder_layer import AdaptedLayer
from gia.adapters.graph_lora import Arrival, Bottleneck, Bottlenecks, GraphLoRA


def hang(base: Decoder, name: str) -> None:
    """Let a new Graph-LoRA adapter act on the layers of a model."""
    parts = base.adapter(name)
    for number, adapted in base.adapted.items():
        if name in adapted.adapters:
            hooks = LinearHooks(base, adapted, name, below=parts.get(number - 1))
            adapted.linear_hooks[name] = hooks


class LinearHooks:
    """The hooks of one adapter in one decoder layer.

    The graph of the layer below is an argument of the layer, as its hidden states are: so it is
    there where gradient checkpointing runs the layer again.

    Args:
        base (Decoder): The decoder.
        adapted (AdaptedLayer): The layer's adapters.
        name (str): Which of them.
        below (GraphLoRA, optional): The adapter's part in the layer below.
    """

    def __init__(self, base: Decoder, adapted: AdaptedLayer, name: str, *, below: GraphLoRA | None):
        layer, family = base.layers[adapted.number], base.family
        self.adapted, self.name, self.below = adapted, name, below
        self.part: GraphLoRA = adapted.adapters[name]
        self.argument = f"gia_{name}_below"
        self.handles = []
        for bottleneck in self.part.groups.values():
            for site, path in enumerate(bottleneck.group.names):
                hook = partial(self._after_linear, bottleneck, site)
                self.handles.append(layer.get_submodule(path).register_forward_hook(hook))
        if self.part.config.edges is None:
            return
        attention = layer.get_submodule(family.attention)
        if self.part.reads_below:
            below.is_read = True
            self.handles.append(
                attention.register_forward_pre_hook(self._before_attention, with_kwargs=True)
            )
        self.handles += [
            layer.register_forward_pre_hook(self._enter, with_kwargs=True),
            layer.register_forward_hook(self._leave),
        ]

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    @property
    def in_use(self) -> bool:
        return self.adapted.enabled and self.name in self.adapted.active

    def _enter(self, layer: nn.Module, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        if not self.in_use:
            return None
        self.part.held.forward = True
        if not self.part.reads_below:
            return None
        arrival, self.below.held.own = self.below.held.own, None
        return args, {**kwargs, self.argument: arrival}

    def _before_attention(self, attention: nn.Module, args: tuple, kwargs: dict[str, Any]) -> Any:
        if self.argument not in kwargs:
            return None
        self.part.held.below = kwargs[self.argument]
        return args, {key: value for key, value in kwargs.items() if key != self.argument}

    def _leave(self, layer: nn.Module, args: tuple, output: Any) -> None:
        held = self.part.held
        held.forward = False
        if not self.part.is_read:
            held.own = None

    def _after_linear(
        self, bottleneck: Bottleneck, site: int, linear: nn.Module, args: tuple, output: Tensor
    ) -> Tensor | None:
        if not self.in_use:
            return None
        of_groups = self.part.held.z
        known = of_groups.get(bottleneck.key)
        if known is None or known.x is not args[0]:
            known = of_groups[bottleneck.key] = self._bottlenecks(bottleneck, args[0])
        if site == len(known.z) - 1:
            del of_groups[bottleneck.key]
        z, lora_B, scaling = known.z[site], known.lora_B[site], self.part.config.scaling
        if output.dtype != z.dtype:
            return output + (z @ lora_B * scaling).view(output.shape).to(output.dtype)
        changed = torch.addmm(output.flatten(0, -2), z, lora_B, alpha=scaling)
        return changed.view(output.shape)

    def _bottlenecks(self, bottleneck: Bottleneck, x: Tensor) -> Bottlenecks:
        lora_B = bottleneck.lora_B.t().split_with_sizes(bottleneck.group.out_features, 1)
        if not bottleneck.graphs:
            z = bottleneck(x)
        else:
            arrival = self._arrival(bottleneck)
            apart = x if x.dim() == 3 else self._apart(bottleneck, x, arrival)
            z = bottleneck(apart, arrival.edges, arrival.extend)
        held = self.part.held
        held.left -= not bottleneck.reads_below
        # Where checkpointing runs the layer again, it stops before anything else could let go.
        if held.left == 0 and not held.forward:
            held.own = None
        return Bottlenecks(x, z, lora_B)

    def _apart(self, bottleneck: Bottleneck, x: Tensor, arrival: Arrival) -> Tensor:
        """The tokens of each sequence."""
        sequences, queries = arrival.shape
        if x.shape[:-1].numel() != sequences * queries:
            raise RuntimeError(
                f"{bottleneck.group.names[0]} of layer {self.part.layer} reads "
                f"{x.shape[:-1].numel()} tokens of {sequences * queries}, so that messages between "
                "tokens have no place: leave it out of target_modules"
            )
        return x.view(sequences, queries, -1)

    def _arrival(self, bottleneck: Bottleneck) -> Arrival:
        """The graph along which messages come."""
        held, before = self.part.held, bottleneck.reads_below
        arrival = held.below if before else held.own
        if arrival is None and before:
            raise RuntimeError(
                f"layer {self.part.layer} was not given the graph of the layer below, as where "
                "layers are run apart or checkpointed by transformers before 5.18: set "
                "qkv_messages=False"
            )
        if arrival is None:
            raise RuntimeError(
                f"layer {self.part.layer} computed no attention that could be observed: was its "
                "implementation changed? Remove the adapter, change it, add the adapter again"
            )
        if torch.is_grad_enabled() and not arrival.recorded and self.part.config.edge_gradients:
            raise RuntimeError(
                f"layer {self.part.layer} computed its attention without gradients, as reentrant "
                "checkpointing does, so that those of the edges would be lost: checkpoint with "
                "use_reentrant=False, or set edge_gradients=False"
            )
        return arrival
