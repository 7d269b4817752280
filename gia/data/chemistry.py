"""rdkit, which is imported when the first molecule is read."""

from typing import Any


def require_rdkit() -> Any:
    """``rdkit.Chem``.

    Raises:
        ImportError: if rdkit is not installed.
    """
    try:
        from rdkit import Chem
    except ImportError as error:
        raise ImportError(
            "molecules take rdkit, which is not installed: pip install gia[chem]"
        ) from error
    return Chem
