"""What the published layers compute, as numbers.

The vectors lie in tests/reference, or in the folder that GIA_REFERENCE_VECTORS names.
"""

import json
import os
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

FOLDER = Path(os.environ.get("GIA_REFERENCE_VECTORS") or Path(__file__).parent / "reference")
INDEX = json.loads((FOLDER / "index.json").read_text())
TOLERANCE = 1e-6  # the published softmax runs in float32


def load_vector(name: str) -> dict[str, Tensor]:
    return load_file(FOLDER / f"{name}.safetensors")
