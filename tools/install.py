"""Set up the environment that the Makefile's targets run in.

lint     the environment and ruff
train    torch, then gia; torch-scatter and torch-sparse only if wheels of them are at hand
test     the same, with the tools for development
install  the same again; torch-scatter and torch-sparse are built

Needs nothing but Python. What was done is noted in the environment and not done again.
"""

import argparse
import configparser
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {
    "train": ["bio", "chem"],
    "test": ["bio", "boosting", "chem", "dev", "llm", "materials", "search"],
}
EXTRAS["install"] = EXTRAS["test"]
# One operation of each library: a wheel made for another torch fails here.
CHECKS = {
    "torch-scatter": "import torch, torch_scatter as lib; "
    "out = lib.scatter(torch.ones(4), torch.tensor([0, 0, 1, 1]), reduce='max'); "
    "assert out.tolist() == [1, 1]",
    "torch-sparse": "import torch, torch_sparse as lib; "
    "out = lib.SparseTensor.from_dense(torch.eye(2)) @ torch.ones(2, 1); "
    "assert out.tolist() == [[1], [1]]",
}
# Lines that end the log of every failed build: pip's say nothing of the reason, others little.
PIP_ENDS = re.compile("subprocess-exited|problem with pip|ailed (building|to build)")
OTHERS_END = re.compile("compiling objects|exit (code|status)")


class Stop(Exception):
    """The set-up cannot go on; the message says why and what to do."""


def say(text):
    print(f"[setup] {text}", flush=True)


def notes(venv, **done):
    """Add to what is noted as done in this environment; returns all of it."""
    path, part = venv / "gia-setup.json", venv / "gia-setup.json.part"
    known = json.loads(path.read_text()) if path.exists() else {}
    if done:
        known.update(done)
        part.write_text(json.dumps(known, indent=1))
        part.replace(path)
    return known


def pip(venv, *args):
    """Run pip quietly; raises Stop with its last lines."""
    command = [venv / "bin/python", "-m", "pip", "--disable-pip-version-check", "-q", *args]
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=-1, stderr=subprocess.STDOUT)
    if done.returncode:
        tail = "\n    ".join(done.stdout.strip().splitlines()[-12:])
        raise Stop(
            f"`pip {shlex.join(map(str, args))}` failed:\n    {tail}\n"
            "Put right what pip names (network, disk, a version) and run make again."
        )


def installed(venv, package):
    """The version of a package in the environment, or None, without starting its Python."""
    name = package.replace("-", "_") + "-"
    found = sorted(venv.glob(f"lib/python*/site-packages/{name}*.dist-info"))
    return found[-1].name.removeprefix(name).removesuffix(".dist-info") if found else None


def make_venv(venv):
    if (venv / "bin/python").exists() and (venv / "bin/pip").exists():
        return
    if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        raise Stop(
            f"{sys.executable} cannot make environments: install its venv module (on Debian and "
            "Ubuntu: `apt install python3-venv`) or name another Python with PYTHON=..."
        )
    say(f"making the environment {venv.name}: a few seconds")
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)


def ruff_wanted():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    dev = config["options.extras_require"]["dev"].split()
    return next(line for line in dev if line.startswith("ruff"))


def install_ruff(venv):
    if notes(venv).get("ruff") != ruff_wanted() or not (venv / "bin/ruff").exists():
        say(f"installing {ruff_wanted()}: a few seconds")
        pip(venv, "install", ruff_wanted())
        notes(venv, ruff=ruff_wanted())


def gia_key(torch, extras):
    """Changes with everything that calls for installing gia again."""
    texts = [(ROOT / name).read_text() for name in ("setup.cfg", "pyproject.toml")]
    return hashlib.sha256("\0".join([str(ROOT), torch, *extras, *texts]).encode()).hexdigest()


def install_gia(venv, requirement, extras):
    """Install torch and then, held to that torch, gia; returns the version of torch."""
    known = notes(venv)
    torch = installed(venv, "torch")
    if torch is None or [requirement, torch] != known.get("torch"):
        say(f"installing {requirement}: 1 to 3 minutes")
        pip(venv, "install", *shlex.split(requirement))
        torch = installed(venv, "torch")
        notes(venv, torch=[requirement, torch])
    extras = sorted({*extras, *known.get("extras", [])})
    key = gia_key(torch, extras)
    if known.get("gia") != key:
        names = ",".join(extras)
        say(f"installing gia[{names}] with torch-geometric, pytorch-lightning, hydra and friends: "
            "about 1 minute")  # fmt: skip
        pins = venv / "gia-constraints.txt"
        pins.write_text(f"torch=={torch}\n")
        pip(venv, "install", "-c", pins, "-e", f".[{names}]")
        ruff = {"ruff": ruff_wanted()} if "dev" in extras else {}
        notes(venv, gia=key, extras=extras, **ruff)
    return torch


def works(venv, lib):
    """Whether a library is in the environment and runs with the torch there."""
    command = [venv / "bin/python", "-c", CHECKS[lib]]
    done = installed(venv, lib) and subprocess.run(command, cwd=venv, capture_output=True)
    return bool(done) and done.returncode == 0


def install_wheel(venv, lib, place):
    """Install a library from the wheels in a folder or on a page; whether it then works."""
    if isinstance(place, Path) and not any(place.glob(f"{lib.replace('-', '_')}-*.whl")):
        return False
    with contextlib.suppress(Stop):  # no such wheel there
        pip(venv, "install", "--no-index", "--no-deps", "--force-reinstall",
            "--only-binary", ":all:", "--find-links", place, lib)  # fmt: skip
        if works(venv, lib):
            say(f"installed {lib} from {place}")
            return True
    return False


def wheel_cache(torch):
    """Where built wheels are kept: one folder for each torch, Python and platform."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "gia"
    base = Path(os.environ.get("GIA_CACHE") or home).expanduser().absolute()
    return base / "wheels" / f"{torch}-{sys.implementation.cache_tag}-{sysconfig.get_platform()}"


def compiler():
    names = [*shlex.split(os.environ.get("CXX", ""))[:1], "c++", "g++", "clang++"]
    return next(filter(None, map(shutil.which, names)), None)


def reason(log):
    """The last line of a build's log that says what went wrong."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    lines = [line for line in lines if line and not PIP_ENDS.search(line)]
    errors = [line for line in lines if "error: " in line.lower()]
    telling = [line for line in errors if not OTHERS_END.search(line)]
    return (telling or errors or lines or ["it printed nothing"])[-1][:200]


def build(venv, libs, cache):
    """Compile wheels side by side into the cache; returns {library: "" or why it failed}."""
    say(f"building {' and '.join(libs)} for this torch: about 14 minutes on two cores, once")
    pip(venv, "install", "setuptools", "wheel", "ninja", "numpy")
    cache.mkdir(parents=True, exist_ok=True)
    temp = Path(tempfile.mkdtemp(prefix=".build-", dir=cache))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    env = {"MAX_JOBS": str(max(1, cores // len(libs))), **os.environ, "TMPDIR": str(temp)}
    env["PATH"] = f"{venv / 'bin'}:{env['PATH']}"  # for ninja
    jobs, results, start = {}, {}, time.monotonic()
    try:
        for lib in libs:
            # Not from pip's own cache: it does not tell wheels for different torches apart.
            command = [venv / "bin/python", "-m", "pip", "wheel", "--no-cache-dir", "--no-deps",
                       "--no-build-isolation", "-w", temp / lib, lib]  # fmt: skip
            with open(venv / f"build-{lib}.log", "w") as log:
                jobs[lib] = subprocess.Popen(
                    command, cwd=venv, env=env, stdout=log, stderr=log, start_new_session=True
                )
        while len(results) < len(libs):
            time.sleep(0.2)
            for lib in [lib for lib in libs if lib not in results and jobs[lib].poll() is not None]:
                for wheel in (temp / lib).glob("*.whl"):
                    wheel.replace(cache / wheel.name)
                failed = jobs[lib].returncode != 0
                results[lib] = reason(venv / f"build-{lib}.log") if failed else ""
                if not failed:
                    say(f"built {lib} in {(time.monotonic() - start) / 60:.1f} minutes")
    finally:
        for lib in jobs.keys() - results.keys():  # interrupted: ninja stops its compilers
            with contextlib.suppress(ProcessLookupError):
                os.killpg(jobs[lib].pid, signal.SIGTERM)
            jobs[lib].wait()
            time.sleep(1)
        shutil.rmtree(temp, ignore_errors=True)
    return results


def install_sparse(venv, torch, wheels, may_build, retry):
    """Install torch-scatter and torch-sparse if that is possible: gia works without them."""
    # {library: [the torch it is for, "" or why it could not be built]}
    known = notes(venv).get("sparse", {})
    known = {lib: note for lib, note in known.items() if note[1] or installed(venv, lib)}
    cache = wheel_cache(torch)

    def missing():
        return [lib for lib in CHECKS if known.get(lib) != [torch, ""]]

    def take(place):
        for lib in missing():
            ours = lib in known and not known[lib][1]  # put there for another torch
            if (not ours and works(venv, lib)) or (place and install_wheel(venv, lib, place)):
                known[lib] = [torch, ""]
                notes(venv, sparse=known)
            elif installed(venv, lib):
                pip(venv, "uninstall", "-y", lib)

    take(wheels)
    if wheels and missing():
        say(f"PYG_WHEELS has no {' and '.join(missing())} that works with torch {torch}")
    take(cache)
    names = " and ".join(missing())
    if not may_build and names:
        say(f"going on without {names}: only tests and comparisons that name them are left out; "
            "`make install` builds them, about 14 minutes on two cores")  # fmt: skip
    if not may_build or not names:
        return
    todo = [lib for lib in missing() if retry or known.get(lib, [None])[0] != torch]
    if todo and not compiler():
        say(f"going on without {names}, everything still works: no C++ compiler was found to "
            "build them with (on Debian and Ubuntu: `apt install g++`)")  # fmt: skip
        return
    if todo:
        try:
            results = build(venv, todo, cache)
        except (Stop, OSError) as problem:
            results = dict.fromkeys(todo, " ".join(str(problem).split())[:400])
        for lib, why in results.items():
            known[lib] = [torch, why or "it was built but does not run with this torch"]
        notes(venv, sparse=known)
        take(cache)
    if missing():
        whys = "; ".join(dict.fromkeys(known[lib][1] for lib in missing()))
        say(f"going on without {' and '.join(missing())}, everything still works: {whys} "
            f"(see {venv.name}/build-*.log); `make install RETRY=1` tries again")  # fmt: skip


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=["lint", *EXTRAS])
    parser.add_argument("--venv", type=Path, default=".venv")
    parser.add_argument("--torch", default="torch==2.13.0", help="the requirement for torch")
    parser.add_argument("--wheels", default="", help="page or folder with wheels")
    parser.add_argument("--retry", action="store_true", help="build again what failed before")
    args = parser.parse_args(argv)
    venv = args.venv.absolute()
    venv.mkdir(parents=True, exist_ok=True)
    with open(venv / "gia-setup.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one set-up at a time
        make_venv(venv)
        if args.target == "lint":
            return install_ruff(venv)
        torch = install_gia(venv, args.torch, EXTRAS[args.target])
    install_sparse(venv, torch, args.wheels, args.target == "install", args.retry)


if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"gia needs Python 3.10 or newer, {sys.executable} is {found}: set PYTHON=...")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except (Stop, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"[setup] {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
