"""What adapters have learned of messages, in numbers that can be read."""

from torch import Tensor, nn

from gia.adapters.decoder import DEFAULT, decoder
from gia.adapters.graph_lora import GraphLoRA
from gia.adapters.learning_rates import SCALARS


def learned(model: nn.Module, name: str = DEFAULT) -> dict[str, Tensor]:
    r"""The numbers of an adapter that say how much messages count.

    Of Graph-LoRA, g and, where it is trained, :math:`\epsilon` of each linear layer, as
    ``"3.self_attn.o_proj.g"`` for layer 3: ``[r]``, with graphs of single heads ``[H, r]``. Of
    Sparse-GIN scales, thresholds, gates and :math:`\epsilon`, as ``"3.scale"``. At 0, g and scale
    say that the graph is not used.

    Args:
        model (nn.Module): A model with adapters.
        name (str): Which adapter.

    Raises:
        KeyError: If there is no such adapter.
    """
    found = {}
    for number, part in decoder(model).adapter(name).items():
        if isinstance(part, GraphLoRA):
            for site, values in part.messages().items():
                found |= {f"{number}.{site}.{key}": value for key, value in values.items()}
            continue
        for key, value in part.named_parameters():
            if key.rpartition(".")[2] in SCALARS:
                found[f"{number}.{key}"] = value.detach().clone()
    return found
