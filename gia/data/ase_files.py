"""Crystals that ASE has written, as a table: databases, extended XYZ, trajectories."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from gia.data.columns import Columns, word_set
from gia.data.crystals import UNREADABLE, unreadable
from gia.data.files import GZIP, read_bytes
from gia.data.optional import require

DATABASES = (".db",)
FRAMES = (".extxyz", ".xyz", ".traj")  # files of one structure after another
SCALARS = (str, int, float, bool)
WHOLE = 0.999  # of an atom


def is_ase(path: str | PathLike) -> bool:
    """Whether the name of a file, gzipped or not, is that of one of ASE's."""
    return _suffix(path) in DATABASES + FRAMES


def read_ase(
    path: str | PathLike,
    structure_column: str = "structure",
    missing: Iterable[Any] = (),
    url: str | None = None,
) -> Columns:
    """A table of the structures in a file of ASE's, by `its library <https://wiki.fysik.dtu.dk/ase>`_.

    A row has the structure as pymatgen's JSON, the key-value pairs of a database or what stands in
    the comment of a frame, what a calculator has found (``energy``), and in a database its ``id``.
    What cannot be a crystal says so in place of the structure.

    Args:
        path: a database (``.db``), or frames (``.extxyz``, ``.xyz``, ``.traj``), maybe gzipped.
        structure_column: what the column of the structures is called.
        missing: words that stand for no value, see :func:`gia.data.columns.word_set`.
        url: where to download it from if ``path`` does not exist.

    Raises:
        ImportError: if ASE is not installed.
        OSError: if the file cannot be read.
        ValueError: if it is none of these, or has a value of the structures' name.
    """
    require_ase()
    file = Path(str(path)).expanduser()
    with tempfile.TemporaryDirectory() as folder:
        if not _is_plain(file):
            data, file = read_bytes(path, url), Path(folder) / f"unpacked{_suffix(path)}"
            file.write_bytes(data)
        read = _of_database if _suffix(path) in DATABASES else _of_frames
        rows = list(read(file, f"data.path={path}"))
    if not rows:
        raise ValueError(f"data.path={path} holds no structure")
    if all(text.startswith(UNREADABLE) for text, _ in rows):
        reason = rows[0][0].removeprefix(UNREADABLE)
        raise ValueError(f"data.path={path} holds no crystal that can be read: {reason}")
    names = list(dict.fromkeys(name for _, values in rows for name in values))
    if structure_column in names:
        raise ValueError(
            f"data.path={path} has values called {structure_column!r}: give its structures another "
            "name, data.structure_column=..."
        )
    table = {name: [str(values.get(name, "")) for _, values in rows] for name in names}
    table[structure_column] = [text for text, _ in rows]
    return Columns(path, table, missing=word_set(missing))


def require_ase() -> Any:
    """``ase``.

    Raises:
        ImportError: if it is not installed, saying how to.
    """
    purpose = "ASE's databases and XYZ take ase"
    require("ase.db", purpose, "materials")
    require("ase.io", purpose, "materials")
    return require("ase", purpose, "materials")


def _of_database(file: Path, told: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with require_ase().db.connect(file, type="db") as database:
        try:
            ids = [number for (number,) in database.connection.execute("SELECT id FROM systems")]
        except Exception as error:  # sqlite3's, of what is no database or not one of ASE's
            raise ValueError(f"{told} is no database of ASE: {error}") from error
        for number in ids:
            try:
                row = database.get(id=number)
                text, values = _row(row.toatoms(), row.key_value_pairs)
            except Exception as error:  # whatever a damaged row raises
                text, values = f"{UNREADABLE}{unreadable(error)}", {}
            yield text, {"id": number, **values}


def _of_frames(file: Path, told: str) -> Iterator[tuple[str, dict[str, Any]]]:
    frames = require_ase().io.iread(file, index=":")
    while True:
        try:
            atoms = next(frames, None)
        except Exception as error:  # ASE's parsers raise almost anything
            # Where a frame ends is not known then: it is the last that there is.
            yield f"{UNREADABLE}{unreadable(error)}; what follows in {told} is not read", {}
            return
        if atoms is None:
            return
        yield _row(atoms, atoms.info)


def _row(atoms: Any, known: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The structure as text, and the numbers and words that are known of it."""
    found = getattr(atoms.calc, "results", {}) | known
    values = {
        name: getattr(value, "item", lambda value=value: value)()
        for name, value in found.items()
        if _single(value)
    }
    if atoms.cell.rank < 3:
        return f"{UNREADABLE}the structure has no cell", values
    if not atoms.pbc.all():
        return f"{UNREADABLE}the structure does not repeat in all three directions", values
    occupancy = atoms.info.get("occupancy")  # as ASE keeps it, of files such as CIF
    sites = occupancy.values() if isinstance(occupancy, dict) else ()
    if any(len(site) > 1 or sum(site.values()) < WHOLE for site in sites):
        return f"{UNREADABLE}atoms are there in part: partial occupancies are not read", values
    return _as_json(atoms), values


def _single(value: Any) -> bool:
    """Whether it is one number or word, and no array."""
    return isinstance(value, SCALARS) or getattr(value, "shape", None) == ()


def _as_json(atoms: Any) -> str:
    """What pymatgen reads as a structure."""
    places = zip(atoms.symbols, atoms.get_scaled_positions(wrap=False).tolist(), strict=True)
    sites = [{"species": [{"element": name, "occu": 1}], "abc": abc} for name, abc in places]
    return json.dumps({"lattice": {"matrix": atoms.cell.tolist()}, "sites": sites})


def _is_plain(file: Path) -> bool:
    """Whether there is such a file that ASE can read where it is.

    What follows an ``@`` in a name is for ASE a choice of frames.
    """
    if not file.is_file() or "@" in file.name:
        return False
    with file.open("rb") as stream:
        return stream.read(len(GZIP)) != GZIP


def _suffix(path: str | PathLike) -> str:
    return Path(str(path).lower().removesuffix(".gz")).suffix
