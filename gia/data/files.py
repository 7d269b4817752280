"""Reading a user's file, with one clear message for whatever can be wrong with it."""

import gzip
import hashlib
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def read_text(path: str | os.PathLike, url: str | None = None) -> str:
    """The text of a file, decompressed if its name ends in ``.gz``.

    Args:
        path: the file.
        url: where to download it from, once, if ``path`` does not exist.

    Raises:
        FileNotFoundError: if there is no such file, or it could not be downloaded.
        IsADirectoryError: if it is a directory.
        PermissionError: if it may not be read.
        ValueError: if it is empty, not UTF-8 or not a whole gzip file.
    """
    file = Path(path).expanduser()
    if not file.exists() and url is not None:
        file = download(url, instead_of=path)
    if not file.exists():
        raise FileNotFoundError(f"data.path={path} does not exist (looked in {Path.cwd()})")
    if file.is_dir():
        raise IsADirectoryError(f"data.path={path} is a directory: name a file in it")
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        # utf-8-sig also reads plain UTF-8, and drops the mark that spreadsheets put in front.
        with opened(file, "rt", encoding="utf-8-sig") as stream:
            text = stream.read()
    except PermissionError as error:
        raise PermissionError(f"data.path={path} may not be read: check its permissions") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"data.path={path} is not UTF-8 text (byte {error.object[error.start]:#04x} at offset "
            f"{error.start} of what was read): convert it, for example with iconv -t utf-8"
        ) from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"data.path={path} is not a whole gzip file: {error}") from error
    if not text.strip():
        raise ValueError(f"data.path={path} is empty: name a file with sequences in it")
    return text


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
