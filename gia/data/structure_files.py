"""Files of protein structures: which they are, and reading many of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Data

from gia.data.cache import digest, package_version, processed
from gia.data.files import read_bytes
from gia.data.items import Items, Rejected
from gia.data.parallel import on_all_cores
from gia.data.proteins import Chain, read_chains

STRUCTURES = (".pdb", ".ent", ".cif", ".mmcif")
CHUNK = 1000  # files that are kept together, so that an interrupted reading goes on
FEW = 300  # are read by this process alone: in others that takes seconds to begin


def is_structure(file: Path) -> bool:
    """Whether a file is called as structures are."""
    return file.name.lower().removesuffix(".gz").endswith(STRUCTURES)


def structures_in(place: Path) -> list[Path]:
    """The structures of a folder and of all below it; of anything else, itself.

    Raises:
        FileNotFoundError: if there is no such structure.
        ValueError: if a folder holds none.
    """
    if is_structure(place) and not place.exists():
        raise FileNotFoundError(f"data.path={place} does not exist (looked in {Path.cwd()})")
    if not place.is_dir():
        return [place]
    found = sorted(file for file in place.rglob("*") if is_structure(file))
    if not found:
        known = ", ".join(STRUCTURES)
        raise ValueError(
            f"data.path={place} holds no file of a structure ({known}, gzipped or not)"
        )
    return found


def stem(file: Path) -> str:
    """The name of a file without its endings."""
    name = file.name[:-3] if file.name.lower().endswith(".gz") else file.name
    return Path(name).stem if name.lower().endswith(STRUCTURES) else name


def find_structure(cell: str, folder: Path) -> Path | None:
    """The file that a cell names, with its ending or without."""
    endings = ["", *STRUCTURES, *(f"{ending}.gz" for ending in STRUCTURES)]
    for name in (f"{cell}{ending}" for ending in endings if cell):
        if len(Path(name).name) < 256 and (folder / name).is_file():
            return (folder / name).resolve()
    return None


def stamp(file: Path | None) -> tuple[Any, ...]:
    """What changes where a file does, without reading it."""
    if file is None or not file.is_file():
        return (str(file),)
    state = file.stat()
    return (str(file), state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def read_files(files: Sequence[Path]) -> Iterator[list[Data] | str]:
    """The chains of each file, or why there are none; read in parts, each of which is kept."""
    made_by = [package_version(name) for name in ("gemmi", "biopython")]
    for start in range(0, len(files), CHUNK):
        part = files[start : start + CHUNK]
        key = digest("part of structures", made_by, [stamp(file) for file in part])
        items = processed(key, lambda part=part: _as_items(part))
        found: list[list[Data] | str] = [[] for _ in part]
        for chain in items.graphs:
            found[chain.row].append(chain)
        for entry in items.rejected:
            found[entry.row] = entry.reason
        yield from found


def _as_items(files: Sequence[Path]) -> Items:
    """The chains of files as items that can be kept; their rows are the files'."""
    items = Items(graphs=[], num_rows=len(files))
    for row, found in enumerate(on_all_cores(_read_file, files, FEW)):
        if isinstance(found, str):
            items.rejected.append(Rejected(row, files[row].name, found))
            continue
        for chain in found:
            values = {
                key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
                for key, value in vars(chain).items()
            }
            items.graphs.append(Data(**values, row=row, num_nodes=len(chain.letters)))
    return items


def _read_file(file: Path) -> list[Chain] | str:
    """The chains of a file, or why there are none."""
    try:
        return read_chains(read_bytes(file, option="the file"))
    except (OSError, ValueError) as error:
        return str(error)
