"""``gia info``: versions, devices, kernels and caches, for questions and reports of faults."""

import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

console = Console(markup=False, emoji=False, highlight=False)
LEFT_OUT = ("all", "dev")  # extras that tell nothing of what runs
FOLDERS = ("data", "processed", "tu", "wheels")  # below the cache
MEBI = 2**20


def info() -> None:
    """Print what this installation is made of."""
    import gia

    if sys.argv[1:] in (["--help"], ["-h"]):
        print("gia info: versions, devices, kernels and caches; it takes no settings")
        return
    if len(sys.argv) > 1:
        sys.exit(f"gia: info takes no settings, got {' '.join(sys.argv[1:])}")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("gia", f"{gia.__version__} in {os.path.dirname(gia.__file__)}")
    table.add_row("python", f"{platform.python_version()}, {platform.platform()}")
    for extra, names in _packages().items():
        found = ", ".join(f"{name} {_version(name)}" for name in names)
        table.add_row(f"extra {extra}" if extra else "packages", found)
    for name, value in (*_devices(), *_caches()):
        table.add_row(name, value)
    console.print(table)


def _packages() -> dict[str, list[str]]:
    """What gia requires, and what each extra adds, by the extra's name."""
    found: dict[str, list[str]] = {}
    for text in requires("gia") or ():
        requirement = Requirement(text)
        extra = re.search(r"extra == .(\w+)", str(requirement.marker))
        name = extra[1] if extra else ""
        if name not in LEFT_OUT:
            found.setdefault(name, []).append(requirement.name)
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> list[tuple[str, str]]:
    """What computes, and how."""
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    onednn = "with oneDNN" if torch.backends.mkldnn.is_available() else "without oneDNN"
    found = [("cpu", f"{torch.get_num_threads()} threads, {capability}, {onednn}")]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        half = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
        memory = properties.total_memory / 2**30
        found.append((f"cuda:{number}", f"{properties.name}, {memory:.0f} GiB, {half}"))
    if not torch.cuda.is_available():
        found.append(("cuda", "none"))
    return found


def _caches() -> list[tuple[str, str]]:
    """Where files are kept, and how much they take."""
    from gia.data.files import cache_folder

    root = cache_folder("data").parent
    sizes = []
    for name in FOLDERS:
        files = [file for file in (root / name).rglob("*") if file.is_file()]
        if files:
            sizes.append(f"{name} {sum(file.stat().st_size for file in files) / MEBI:,.0f} MiB")
    kept = f": {', '.join(sizes)}" if sizes else ", empty"
    return [("cache", f"{root} (GIA_CACHE){kept}")]
