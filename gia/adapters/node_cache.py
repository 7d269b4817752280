"""Node features that follow a cache of generation: its beams, its cropping, its batches."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor


def with_node_cache(layer: Any) -> Any:
    """Make a layer of a Hugging Face cache keep node features beside its keys, whatever its class.

    It gets ``node_features``, a dictionary of features of all tokens that it has seen,
    ``[B, L, c]``, which are reordered, repeated, selected and cropped with its keys; and
    ``extend``.
    """
    if not hasattr(layer, "node_features"):
        layer.__class__ = _class_with_nodes(type(layer))
        layer.node_features = {}
    return layer


def _restore(kind: type, state: dict[str, Any]) -> Any:
    layer = object.__new__(_class_with_nodes(kind))
    layer.__dict__.update(state)
    return layer


@cache
def _class_with_nodes(kind: type) -> type:
    class WithNodes(kind):
        def extend(self, name: str, features: Tensor, keys: int) -> Tensor:
            """Append features of new tokens, and return those of the layer's key slots.

            Args:
                name (str): Whose they are.
                features (Tensor): Of the new tokens, ``[B, Q, c]``.
                keys (int): Key slots K that attention looks at: the last K tokens in a window, or
                    all of them and unused slots.

            Returns:
                Tensor: ``[B, K, c]``.

            Raises:
                ValueError: If the cache holds tokens that have no such features.
            """
            before, seen = self.node_features.get(name), int(self.get_seq_length())
            known = 0 if before is None else before.size(1)
            if known + features.size(1) != seen:
                raise ValueError(
                    f"the cache holds {seen - features.size(1)} tokens, of which the adapter has "
                    f"seen {known}: fill a new cache with the adapter that is to generate (PEFT's "
                    "prefix tuning, which fills it without tokens, cannot be combined with one)"
                )
            whole = features if before is None else torch.cat([before, features], 1)
            self.node_features[name] = whole
            if seen >= keys:
                return whole if seen == keys else whole[:, -keys:]
            return torch.nn.functional.pad(whole, (0, 0, 0, keys - seen))

        def reorder_cache(self, beam_idx: Tensor) -> None:
            super().reorder_cache(beam_idx)
            self._change(lambda nodes: nodes.index_select(0, beam_idx.to(nodes.device)))

        def batch_repeat_interleave(self, repeats: int) -> None:
            super().batch_repeat_interleave(repeats)
            self._change(lambda nodes: nodes.repeat_interleave(repeats, 0))

        def batch_select_indices(self, indices: Tensor) -> None:
            super().batch_select_indices(indices)
            self._change(lambda nodes: nodes[indices.to(nodes.device)])

        def crop(self, *args: Any, **kwargs: Any) -> None:
            before = int(self.get_seq_length())
            super().crop(*args, **kwargs)
            removed = before - int(self.get_seq_length())  # versions differ in what they are told
            self._change(lambda nodes: nodes[:, : max(0, nodes.size(1) - removed)])

        def reset(self) -> None:
            super().reset()
            self.node_features.clear()

        def __reduce__(self) -> tuple:
            return _restore, (kind, dict(self.__dict__))

        def _change(self, change: Callable[[Tensor], Tensor]) -> None:
            self.node_features = {name: change(nodes) for name, nodes in self.node_features.items()}

    WithNodes.__name__ = WithNodes.__qualname__ = f"{kind.__name__}WithNodes"
    return WithNodes
