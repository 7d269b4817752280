"""Reading a user's file, with one clear message for whatever can be wrong with it."""

import gzip
import hashlib
import json
import os
import shutil
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path, PurePosixPath

from gia.data.tables.kinds import check_bytes

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"


def expand(path: str | os.PathLike | Iterable[str | os.PathLike]) -> list[str | os.PathLike]:
    """The files that a path, a pattern such as ``books/*.txt``, or a list of either stands for.

    Those of a pattern are in alphabetical order. A pattern without a match stays as it is, so that
    reading it says what is missing.
    """
    entries = [path] if isinstance(path, str | os.PathLike) else path
    return [file for entry in entries for file in (_matches(entry) or [entry])]


def _matches(pattern: str | os.PathLike) -> list[str]:
    return sorted(glob(str(Path(pattern).expanduser())))


def read_bytes(path: str | os.PathLike, url: str | None = None, option: str = "data.path") -> bytes:
    """The bytes of a file, decompressed if they are gzipped, whatever its name.

    Args:
        path: the file.
        url: where to download it from, once, if ``path`` does not exist; of a zip archive the
            file of the same name is taken.
        option: the setting that names it, for errors.

    Raises:
        FileNotFoundError: if there is no such file, or it could not be downloaded.
        IsADirectoryError: if it is a directory.
        PermissionError: if it may not be read.
        ValueError: if it is not a whole gzip file.
    """
    file = Path(str(path)).expanduser()
    fetched = not file.exists() and url is not None
    if fetched:
        file = download(url, instead_of=path)
    if not file.exists():
        raise FileNotFoundError(f"{option}={path} does not exist (looked in {Path.cwd()})")
    if file.is_dir():
        raise IsADirectoryError(f"{option}={path} is a directory: name a file in it")
    try:
        with open(file, "rb") as stream:
            data = stream.read()
    except PermissionError as error:
        raise PermissionError(f"{option}={path} may not be read: check its permissions") from error
    if fetched and data.startswith(ZIP):
        return _member(file, Path(str(path)).name, url)
    try:
        return gzip.decompress(data) if data.startswith(GZIP) else data
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{option}={path} is not a whole gzip file: {error}") from error


def _member(archive: Path, name: str, url: str) -> bytes:
    """The file of this name in a zip archive, whatever folder of it it is in."""
    with zipfile.ZipFile(archive) as files:
        found = [member for member in files.namelist() if PurePosixPath(member).name == name]
        if not found:
            raise FileNotFoundError(
                f"{url} holds no {name}, but {', '.join(files.namelist()[:10])}: fetch the file "
                "elsewhere and give its place as data.path=..."
            )
        return files.read(found[0])


def read_text(path: str | os.PathLike, url: str | None = None, option: str = "data.path") -> str:
    """The text of a file: see :func:`read_bytes` and :func:`decode`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is empty, no text or not a whole gzip file.
    """
    return decode(read_bytes(path, url, option), f"{option}={path}")


def decode(data: bytes, file: str) -> str:
    """Bytes as text: UTF-8, or UTF-16 and UTF-32 where a mark at the beginning or the zeros of the
    first letters show it. Lines end in ``\\n``.

    Args:
        data: the bytes.
        file: what errors call them.

    Raises:
        ValueError: if they are empty or no text, or show what else they are.
    """
    check_bytes(data, file)
    encoding = json.detect_encoding(data[:4])
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        known = encoding.removesuffix("-sig").upper()
        raise ValueError(
            f"{file} is not {known} text (byte {error.object[error.start]:#04x} at offset "
            f"{error.start} of what was read): save it as UTF-8; what a spreadsheet of Windows "
            "wrote, iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW converts"
        ) from error
    if not text.strip():
        raise ValueError(f"{file} is empty: name a file with data in it")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def download(url: str, instead_of: str | os.PathLike) -> Path:
    """The local copy of a URL, fetched the first time into ``$GIA_CACHE/data``.

    Args:
        url: what to fetch.
        instead_of: the missing file, named in the error.

    Raises:
        FileNotFoundError: if it could not be fetched.
    """
    folder = cache_folder("data")
    # Two URLs may end in the same name, so the name alone would not do as a key.
    key = hashlib.sha256(url.encode()).hexdigest()[:8]
    target = folder / f"{key}-{url.rpartition('/')[2]}"
    if target.exists():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(url, timeout=60) as response,
            write_atomically(target, "wb") as file,
        ):
            shutil.copyfileobj(response, file)
    except OSError as error:
        raise FileNotFoundError(
            f"data.path={instead_of} does not exist and {url} could not be downloaded ({error}): "
            f"fetch it on another machine and give its place as data.path=..."
        ) from error
    return target


def cache_folder(name: str) -> Path:
    """The folder ``$GIA_CACHE/NAME``, below ``~/.cache/gia`` by default; it need not exist.

    Args:
        name: what is kept in it.
    """
    return Path(os.environ.get("GIA_CACHE", "~/.cache/gia")).expanduser() / name


@contextmanager
def write_atomically(path: str | os.PathLike, mode: str = "w") -> Iterator:
    """A file that appears under its name only once it is whole.

    Args:
        path: the file; its folder must exist.
        mode: ``"w"`` or ``"wb"``.
    """
    path = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # on the disk before it takes the old file's place
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise


def _umask() -> int:
    # mkstemp makes private files; the only way to ask for the umask is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
