"""How a module is called of which no more is known than its ``forward``."""

import inspect
from typing import Any

from torch import Tensor, nn
from torch_geometric.data import Batch


def call(model: nn.Module, batch: Batch) -> Tensor:
    """What a module says of a batch: a row for each node or graph, ``[R, ...]``.

    Raises:
        ValueError: If it needs what the batch does not have, or gives no rows.
    """
    arguments = _arguments(model, batch)
    output = model(batch) if arguments is None else model(**arguments)
    output = output[0] if isinstance(output, tuple) else output
    if not isinstance(output, Tensor) or not output.dim():
        raise ValueError(f"the model must give a tensor of rows, got {type(output).__name__}")
    return output[:, None] if output.dim() == 1 else output


def _arguments(model: nn.Module, batch: Batch) -> dict[str, Any] | None:
    """What the module's ``forward`` names of a batch; None if it takes the batch itself.

    Raises:
        ValueError: If it needs what the batch does not have.
    """
    named = {
        name: parameter
        for name, parameter in inspect.signature(model.forward).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    known = {name: batch[name] for name in named if name in batch}
    needed = [name for name, one in named.items() if one.default is one.empty]
    if (
        needed == ["batch"] and len(named) == 1
    ):  # all of it, and not the number of each node's graph
        return None
    missing = [name for name in needed if name not in known]
    if not missing and known:
        return known
    if len(needed) == 1:
        return None
    raise ValueError(
        f"{type(model).__name__}.forward needs {', '.join(missing) or 'no argument'}, but the data "
        f"has {', '.join(batch.keys())}: a module takes the batch alone, or these by their names"
    )
