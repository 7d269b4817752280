"""What all tests share."""

import os

# Each of several workers has a core: with more threads they would wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch_geometric.nn import Sequential

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def sequential_models_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``Sequential`` of PyG's writes its ``forward`` into the class, where the next one finds it.

    That one has its own, unless its caller's module cannot be imported by name, as here.
    """
    monkeypatch.setattr(Sequential, "forward", Sequential.forward)


@pytest.fixture
def float64() -> Iterator[None]:
    """Laws hold to rounding: in float64 that is far below any real difference."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"the data folder {SHARED.name}/ is not beside this checkout")
    return SHARED / "data"
