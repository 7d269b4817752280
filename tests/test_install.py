"""The set-up behind the Makefile, with a stand-in for the environment's Python and pip."""

import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ["help", "install", "train", "test", "test-slow", "lint", "format", "bench", "clean"]

# Notes each call, and does to the environment what pip would do. Files next to it steer it:
# `fails` holds the libraries whose build fails, `broken` those that do not run.
STAND_IN = """#!{python} -S
import os, shutil, sys, time
here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
args = sys.argv[1:]
with open(here + "/calls", "a") as calls:
    calls.write(" ".join(args) + "\\n")

def listed(name):
    path = here + "/" + name
    return open(path).read().split() if os.path.exists(path) else []

def info(package, version):
    site = here + "/lib/python3/site-packages/"
    os.makedirs(site, exist_ok=True)
    for old in os.listdir(site):
        if old.startswith(package.replace("-", "_") + "-"):
            shutil.rmtree(site + old)
    if version:
        os.mkdir(site + package.replace("-", "_") + "-" + version + ".dist-info")

name = args[-1]
if args[0] == "-c":
    sys.exit(any("import torch, " + lib.replace("-", "_") in name for lib in listed("broken")))
if "wheel" in args and "install" not in args:
    if name in listed("slow"):
        time.sleep(60)
    if name in listed("fails"):
        print("x.cpp:1:10: fatal error: x.h: No such file\\nERROR: Failed building wheel for x")
        sys.exit(1)
    folder = args[args.index("-w") + 1]
    os.makedirs(folder)
    open(folder + "/" + name.replace("-", "_") + "-2.1-py3-none-any.whl", "w").close()
elif "uninstall" in args:
    info(name, None)
elif "--find-links" in args:
    place = args[args.index("--find-links") + 1]
    found = [x for x in os.listdir(place) if x.startswith(name.replace("-", "_") + "-")]
    if not found:
        sys.exit("ERROR: No matching distribution found for " + name)
    info(name, "2.1")
elif name.startswith("torch=="):
    if name == "torch==0":
        print("\\n".join("line %d" % n for n in range(40)) + "\\nERROR: no such torch")
        sys.exit(1)
    info("torch", name[len("torch=="):])
elif name.startswith("ruff") or "dev" in name:
    open(here + "/bin/ruff", "w").close()
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """tools/install.py, working on a copy of the project's set-up files and its own cache."""
    spec = importlib.util.spec_from_file_location("gia_tools_install", ROOT / "tools/install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    project = tmp_path / "project"
    project.mkdir()
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, project)
    monkeypatch.setattr(module, "ROOT", project)
    monkeypatch.setenv("GIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "compiler", lambda: "c++")
    return module


class Env:
    """An environment whose Python is the stand-in."""

    def __init__(self, install, folder):
        self.install, self.folder = install, folder
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/pip").touch()
        (folder / "bin/python").write_text(STAND_IN.format(python=sys.executable))
        (folder / "bin/python").chmod(0o755)

    def run(self, target, *args, torch="torch==2.13.0"):
        """Run the set-up; returns the calls of Python that it made."""
        calls = self.folder / "calls"
        calls.write_text("")
        self.install.main([target, "--venv", str(self.folder), "--torch", torch, *args])
        return calls.read_text().splitlines()

    def libraries(self):
        return [lib for lib in self.install.CHECKS if self.install.installed(self.folder, lib)]


@pytest.fixture
def env(install, tmp_path):
    return Env(install, tmp_path / "env")


def wheels_built(calls):
    return [call.split()[-1] for call in calls if " wheel --no-cache-dir " in call]


def test_training_set_up_is_torch_then_gia_and_builds_nothing(env, capsys):
    calls = env.run("train")
    assert [re.sub(r"^-m pip --\S+ -q ", "", call) for call in calls] == [
        "install torch==2.13.0",
        f"install -c {env.folder}/gia-constraints.txt -e .[bio,chem]",
    ]
    assert (env.folder / "gia-constraints.txt").read_text() == "torch==2.13.0\n"
    lines = [line for line in capsys.readouterr().out.splitlines() if "make install" in line]
    assert len(lines) == 1
    assert "torch-scatter and torch-sparse" in lines[0]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("train", "train"),
        ("test", "test"),
        ("install", "test"),
        ("test", "train"),
        ("test", "lint"),
    ],
)
def test_unchanged_set_up_calls_nothing(env, first, then):
    assert env.run(first)
    assert env.run(then) == []


def test_tests_wait_for_nothing_to_be_built(env, capsys):
    calls = env.run("test")
    assert calls[1].endswith("-e .[bio,boosting,chem,dev,llm,materials,search]")
    assert wheels_built(calls) == []
    assert "`make install` builds them" in capsys.readouterr().out
    calls = env.run("install")
    assert sorted(wheels_built(calls)) == ["torch-scatter", "torch-sparse"]
    assert not any(" -e " in call for call in calls)


def test_install_after_train_adds_the_tools_and_the_libraries(env):
    env.run("train")
    calls = env.run("install")
    assert not any(call.endswith("torch==2.13.0") for call in calls)
    assert calls[0].endswith("-e .[bio,boosting,chem,dev,llm,materials,search]")
    assert env.libraries() == ["torch-scatter", "torch-sparse"]
    assert env.run("install") == []


@pytest.mark.parametrize("name", ["setup.cfg", "pyproject.toml"])
def test_changed_project_files_install_gia_again_but_not_torch(env, name):
    env.run("install")
    with open(env.install.ROOT / name, "a") as file:
        file.write("\n# changed\n")
    calls = env.run("train")
    assert len(calls) == 1
    assert calls[0].endswith(
        "-e .[bio,boosting,chem,dev,llm,materials,search]"
    )  # what was there before is kept


def test_key_changes_with_torch_and_extras(install):
    key = install.gia_key("2.13.0", ["bio"])
    assert key == install.gia_key("2.13.0", ["bio"])
    assert len({key, install.gia_key("2.12.0", ["bio"]), install.gia_key("2.13.0", ["dev"])}) == 3


def test_another_torch_rebuilds_the_libraries(env, tmp_path):
    env.run("install")
    calls = env.run("install", torch="torch==2.12.0")
    assert calls[0].endswith("install torch==2.12.0")
    assert sorted(wheels_built(calls)) == ["torch-scatter", "torch-sparse"]
    folders = sorted(path.name.split("-")[0] for path in (tmp_path / "cache/wheels").iterdir())
    assert folders == ["2.12.0", "2.13.0"]
    # Back again: the wheels for the first torch are still there.
    calls = env.run("install", torch="torch==2.13.0")
    assert wheels_built(calls) == []
    assert env.libraries() == ["torch-scatter", "torch-sparse"]


def test_training_with_another_torch_does_not_keep_the_old_libraries(env):
    env.run("install")
    env.run("train", torch="torch==2.12.0")
    assert env.libraries() == []


def test_torch_replaced_by_hand_is_put_back(env):
    env.run("install")
    site = next(env.folder.glob("lib/*/site-packages"))
    (site / "torch-2.13.0.dist-info").rename(site / "torch-2.9.0.dist-info")
    calls = env.run("train")
    assert len(calls) == 1
    assert calls[0].endswith("install torch==2.13.0")
    assert env.libraries() == ["torch-scatter", "torch-sparse"]


def test_library_removed_by_hand_comes_back(env):
    env.run("install")
    shutil.rmtree(next(env.folder.glob("lib/*/site-packages/torch_scatter-*")))
    assert wheels_built(env.run("train")) == []
    assert env.libraries() == ["torch-scatter", "torch-sparse"]


def test_library_installed_by_hand_is_kept(env):
    env.run("train")
    for name in ("torch_scatter", "torch_sparse"):
        next(env.folder.glob("lib/*/site-packages")).joinpath(f"{name}-2.0.dist-info").mkdir()
    assert wheels_built(env.run("install")) == []
    assert env.libraries() == ["torch-scatter", "torch-sparse"]


@pytest.mark.parametrize("target", ["train", "test", "install"])
def test_a_new_clone_reuses_built_wheels(env, install, tmp_path, target):
    env.run("install")
    other = Env(install, tmp_path / "clone/env")
    assert wheels_built(other.run(target)) == []
    assert other.libraries() == ["torch-scatter", "torch-sparse"]


def test_prebuilt_wheels_are_used_instead_of_building(env, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    for name in ("torch_scatter", "torch_sparse"):
        (place / f"{name}-2.1-py3-none-any.whl").touch()
    assert wheels_built(env.run("install", "--wheels", str(place))) == []
    assert env.libraries() == ["torch-scatter", "torch-sparse"]


def test_prebuilt_wheels_that_do_not_run_are_said_and_built(env, tmp_path, capsys):
    place = tmp_path / "place"
    place.mkdir()
    (place / "torch_scatter-2.1-py3-none-any.whl").touch()
    (env.folder / "broken").write_text("torch-scatter")
    calls = env.run("install", "--wheels", str(place))
    assert sorted(wheels_built(calls)) == ["torch-scatter", "torch-sparse"]
    out = capsys.readouterr().out
    assert "PYG_WHEELS has no torch-scatter and torch-sparse that works with torch 2.13.0" in out
    assert "it was built but does not run with this torch" in out
    assert env.libraries() == ["torch-sparse"]  # the broken one is not left in the environment


def test_cached_wheel_that_does_not_run_is_built_again(env, install, tmp_path):
    env.run("install")
    other = Env(install, tmp_path / "clone/env")
    (other.folder / "broken").write_text("torch-sparse")
    assert wheels_built(other.run("install")) == ["torch-sparse"]


def test_failed_build_is_told_with_its_reason_and_remembered(env, capsys):
    (env.folder / "fails").write_text("torch-sparse")
    assert sorted(wheels_built(env.run("install"))) == ["torch-scatter", "torch-sparse"]
    assert env.libraries() == ["torch-scatter"]
    first = capsys.readouterr().out
    assert "going on without torch-sparse" in first
    assert "fatal error: x.h: No such file (see env/build-*.log)" in first

    assert env.run("install") == []
    again = capsys.readouterr().out.splitlines()
    assert len(again) == 1
    assert "make install RETRY=1" in again[0]

    (env.folder / "fails").unlink()
    assert wheels_built(env.run("install", "--retry")) == ["torch-sparse"]
    assert env.libraries() == ["torch-scatter", "torch-sparse"]
    assert "going on without" not in capsys.readouterr().out


def test_missing_compiler_is_said_in_one_line_and_asked_for_again(env, monkeypatch, capsys):
    monkeypatch.setattr(env.install, "compiler", lambda: None)
    assert wheels_built(env.run("install")) == []
    lines = [line for line in capsys.readouterr().out.splitlines() if "compiler" in line]
    assert len(lines) == 1
    assert "apt install g++" in lines[0]
    monkeypatch.setattr(env.install, "compiler", lambda: "c++")
    assert len(wheels_built(env.run("install"))) == 2


def test_compiler_is_looked_for_in_cxx_and_path(tmp_path, monkeypatch):
    install = runpy.run_path(str(ROOT / "tools/install.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert install["compiler"]() is None
    for name in ("mine", "g++"):
        (tmp_path / name).touch(mode=0o755)
    assert install["compiler"]() == str(tmp_path / "g++")
    monkeypatch.setenv("CXX", "mine -O1")
    assert install["compiler"]() == str(tmp_path / "mine")


def test_interrupted_build_leaves_no_half_wheel_and_goes_on_later(env, tmp_path, monkeypatch):
    (env.folder / "slow").write_text("torch-sparse")
    sleep, cache = env.install.time.sleep, env.install.wheel_cache("2.13.0")

    def interrupt(seconds):
        sleep(0.01)
        if any(cache.glob("torch_scatter*.whl")):
            monkeypatch.setattr(env.install.time, "sleep", lambda seconds: None)
            raise KeyboardInterrupt

    monkeypatch.setattr(env.install.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        env.run("install")
    assert [path.name for path in cache.iterdir()] == ["torch_scatter-2.1-py3-none-any.whl"]

    monkeypatch.setattr(env.install.time, "sleep", sleep)
    (env.folder / "slow").unlink()
    assert wheels_built(env.run("install")) == ["torch-sparse"]


def test_failing_pip_shows_its_last_lines_and_is_not_noted(env):
    with pytest.raises(env.install.Stop) as problem:
        env.run("train", torch="torch==0")
    text = str(problem.value)
    assert "ERROR: no such torch" in text
    assert "line 39" in text
    assert "line 20\n" not in text
    assert "run make again" in text
    assert env.run("train")[0].endswith("install torch==2.13.0")


def test_lint_needs_only_ruff(env):
    calls = env.run("lint")
    assert len(calls) == 1
    assert re.search(r" install ruff[<>=\d.,]+$", calls[0])
    assert env.run("lint") == []


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("a.cpp:3: error: bad\nRuntimeError: Error compiling objects for extension", "a.cpp:3: er"),
        ("ccc: error: command 'g++' failed with exit code 1\nlast", "ccc"),
        ("one\nERROR: Failed building wheel for torch-sparse", "one"),
        (
            "ModuleNotFoundError: No module named 'torch'\nerror: subprocess-exited-with",
            "ModuleNot",
        ),
        ("", "it printed nothing"),
    ],
)
def test_reason_is_the_line_that_says_something(install, tmp_path, log, expected):
    (tmp_path / "log").write_text(log)
    assert install.reason(tmp_path / "log").startswith(expected)


def test_wheel_cache_follows_torch_and_the_environment(install, tmp_path, monkeypatch):
    assert install.wheel_cache("2.13.0") != install.wheel_cache("2.12.0")
    assert (tmp_path / "cache") in install.wheel_cache("2.13.0").parents
    monkeypatch.delenv("GIA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert install.wheel_cache("2.13.0").parent == tmp_path / "xdg/gia/wheels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert install.wheel_cache("2.13.0").parent == tmp_path / ".cache/gia/wheels"


def test_missing_venv_module_says_the_way_out(install, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find(name)
    )
    with pytest.raises(install.Stop, match="apt install python3-venv"):
        install.main(["train", "--venv", str(tmp_path / "new")])


def test_old_python_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "tools/install.py"), run_name="__main__")
    assert "needs Python 3.10 or newer" in stop.value.code
    assert "3.9.1" in stop.value.code


def test_packages_and_configs_are_found_without_a_list(tmp_path):
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    for name in ("gia/new/deep", "conf/group"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("gia", "gia/new", "gia/new/deep", "conf"):
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "conf/group/one.yaml").write_text("a: 1\n")
    code = (
        "import json; from setuptools import Distribution as D; d = D(); d.parse_config_files(); "
        "d.set_defaults(); b = d.get_command_obj('build_py'); b.ensure_finalized(); "
        "print(json.dumps({p: f for p, _, _, f in b.data_files}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    data = json.loads(done.stdout)
    assert {"gia", "gia.new", "gia.new.deep", "gia.conf"} <= set(data)
    assert data["gia.conf.group"] == ["one.yaml"]


def make(*args, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    clean.update(env)
    return subprocess.run(["make", *args], cwd=ROOT, env=clean, capture_output=True, text=True)


def test_make_alone_prints_a_line_for_every_target():
    out = make().stdout
    assert out == make("help").stdout
    for target in TARGETS:
        assert re.search(rf"^  make {target} +\S+ .*$", out, re.M), target


@pytest.mark.parametrize("target", TARGETS)
def test_target_exists(target):
    done = make("-n", target)
    assert done.returncode == 0, done.stderr


def test_make_passes_its_variables_on():
    out = make("-n", "train", "ARGS=a=1 b=2", "TORCH=torch==2.9", "PYG_WHEELS=/w", "VENV=e").stdout
    assert "e/bin/python train.py a=1 b=2" in out
    assert '--venv "e" --torch "torch==2.9"' in out
    assert '--wheels "/w"' in out
    assert "--retry" not in out
    assert "--retry" in make("-n", "install", "RETRY=1").stdout
