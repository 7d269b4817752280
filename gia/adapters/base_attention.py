"""The attention of a pretrained decoder itself, as PyG has graphs."""

import torch
from torch import Tensor, nn
from torch_geometric.data import Data


@torch.no_grad()
def base_attention(model: nn.Module, input_ids: Tensor) -> list[Data | None]:
    """What the attention of each layer draws over a text, whatever is trained of the model.

    The weights come from transformers' eager attention, which is put in the place of the model's
    own for the while.

    Args:
        model (nn.Module): A decoder of transformers', without adapters of gia's in use.
        input_ids (Tensor): The tokens, ``[L]``.

    Returns:
        list of Data: For each layer ``edge_index [2, E]``, every pair that some head sees, and
        ``edge_weight [E, H]``; None for a layer of another kind, such as a state space.

    Raises:
        ValueError: If no layer says what its attention is.
    """
    own = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        found = model(
            input_ids=input_ids.unsqueeze(0), output_attentions=True, use_cache=False
        ).attentions
    finally:
        model.set_attn_implementation(own)
    if not any(weight is not None for weight in found or ()):
        raise ValueError(
            f"a {type(model).__name__} does not say what its attention is: no layer of it is "
            "attention, as transformers have it"
        )
    graphs = []
    for of_layer in found:
        if of_layer is None:
            graphs.append(None)
            continue
        (weight,) = of_layer  # [H, L, L] of one text
        target, source = (weight > 0).any(0).nonzero().unbind(1)
        graphs.append(
            Data(
                edge_index=torch.stack([source, target]),
                edge_weight=weight[:, target, source].T.float(),
                num_nodes=len(input_ids),
            )
        )
    return graphs
