"""Where others run it: without a home directory, from an installation that is only read, on a full disk, in ASCII."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOWHERE = "/proc/nobody"
"""A home directory that does not exist, and that nobody can make."""

SMALL = ["--set", "network.hidden=6", "--set", "task={name: pattern, inputs: 6, duration: 0.05}", "--quiet"]
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
"""Root may write anywhere, unless it gives up its capabilities."""

FUNCTION = (
    "from pcmsim.foundation.compiled import njit\n\n\n@njit()\ndef twice(x):\n    return 2 * x\n\n\nprint(twice(21))\n"
)

SHARED = """
import os, pathlib
print([found.suffix for found in sorted(pathlib.Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nb*"))])
"""


def python(*arguments: str, cwd: Path, before: tuple[str, ...] = (), **about) -> subprocess.CompletedProcess[str]:
    """A Python process with an environment of its own; None takes a variable out."""
    changed = {name: about.pop(name) for name in list(about) if name.isupper()}
    environment = {name: value for name, value in {**os.environ, **changed}.items() if value is not None}
    command = [*before, sys.executable, *arguments]
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **about}
    return subprocess.run(command, cwd=cwd, env=environment, text=True, check=False, timeout=600, **kept)


def pcmlab(*arguments: str, cwd: Path, **about) -> subprocess.CompletedProcess[str]:
    return python("-m", "training.cli", *arguments, cwd=cwd, **about)


@pytest.fixture
def installed(tmp_path: Path):
    """The packages in a folder to which nobody writes."""
    folder = tmp_path / "installed"
    for package in ("app", "pcmsim", "training"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "twice.py").write_text(FUNCTION + SHARED)
    for place in [folder, *folder.rglob("*")]:
        place.chmod(0o555 if place.is_dir() else 0o444)
    yield folder
    for place in [folder, *(found for found in folder.rglob("*") if found.is_dir())]:
        place.chmod(0o755)


def test_a_read_only_installation_without_a_home_directory_compiles_for_as_long_as_it_runs(installed, tmp_path):
    """Nothing can be kept beside the sources or at home; the processes that one starts share what it has compiled."""
    before = sorted(installed.rglob("*"))
    (temporary := tmp_path / "temporary").mkdir()
    about = {"HOME": NOWHERE, "XDG_CACHE_HOME": None, "NUMBA_CACHE_DIR": None, "TMPDIR": str(temporary)}
    twice = python(str(installed / "twice.py"), cwd=tmp_path, before=UNPRIVILEGED, PYTHONPATH=str(installed), **about)
    assert (twice.stdout, twice.stderr, twice.returncode) == (f"42\n{['.nbc', '.nbi']}\n", "", 0)
    named = pcmlab("presets", cwd=tmp_path, before=UNPRIVILEGED, PYTHONPATH=str(installed), **about)
    assert (named.stderr, named.returncode) == ("", 0)
    assert "mixed-precision" in named.stdout
    assert sorted(installed.rglob("*")) == before
    assert list(temporary.iterdir()) == []


def test_a_home_directory_that_cannot_be_made_is_named_where_it_is_needed(tmp_path):
    run = pcmlab(
        "run", "core", "--chip", "127.0.0.1:1", cwd=tmp_path, HOME=NOWHERE, XDG_CONFIG_HOME=None, PCMLAB_CHIP_TOKEN=None
    )
    assert run.returncode == 2
    assert NOWHERE in run.stderr and run.stderr.count("\n") == 1


def test_a_full_disk_for_what_is_compiled_ends_nothing(tmp_path):
    """No file may grow beyond a byte: an error of the disk at each write, as on one that is full."""
    (tmp_path / "twice.py").write_text(FUNCTION)
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1)), "PYTHONDONTWRITEBYTECODE": "1"}
    run = python("twice.py", cwd=tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"), **limited)
    assert (run.stdout, run.stderr, run.returncode) == ("42\n", "", 0)
    assert not [found for found in (tmp_path / "cache").rglob("*") if found.is_file()]
    run = python("twice.py", cwd=tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert (run.stdout, run.returncode) == ("42\n", 0)
    assert [found.suffix for found in sorted((tmp_path / "cache").rglob("*.nb*"))] == [".nbc", ".nbi"]


def test_numba_alone_would_end_there(tmp_path):
    """Once it does not, `pcmsim.foundation.compiled` has no more to do for a full disk."""
    (tmp_path / "twice.py").write_text(
        FUNCTION.replace("pcmsim.foundation.compiled", "numba").replace("njit()", "njit(cache=True)")
    )
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1)), "PYTHONDONTWRITEBYTECODE": "1"}
    run = python("twice.py", cwd=tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"), **limited)
    assert run.returncode == 1 and "File too large" in run.stderr


def test_the_repository_on_a_relative_python_path_runs_and_its_workers_too(tmp_path):
    run = pcmlab(
        "sweep", str(_grid(tmp_path)), "--store", str(tmp_path / "runs"), "--workers", "2", "--quiet",
        cwd=ROOT, PYTHONPATH=".",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "runs" / "runs").iterdir())) == 2


def _grid(folder: Path) -> Path:
    task = {"name": "pattern", "inputs": 6, "duration": 0.05}
    asked = {"name": "grid", "set": {"network.hidden": 6, "task": task}, "seeds": [1, 2], "trials": 1, "every": 1}
    (folder / "grid.json").write_text(json.dumps(asked))
    return folder / "grid.json"


def test_a_terminal_that_knows_ascii_alone_gets_escapes_in_tables_too(tmp_path):
    variables = {"PYTHONIOENCODING": "ascii"}
    race = ["race", "sign", "--trials", "1", "--seeds", "1", "--store", "runs", "--name", "ü", *SMALL]
    run = pcmlab(*race, cwd=tmp_path, **variables)
    assert run.returncode == 0, run.stderr
    run = pcmlab("runs", "groups", "--store", "runs", cwd=tmp_path, **variables)
    assert run.returncode == 0, run.stderr
    assert r"\xfc" in run.stdout
    run = pcmlab(
        "runs", "--group", "ü", "--store", "runs", cwd=tmp_path, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )
    assert "Traceback" not in run.stderr


def test_a_full_disk_behind_standard_output_is_told_in_one_line_and_the_race_is_kept(tmp_path):
    race = ["race", "sign", "--trials", "1", "--seeds", "1", "--store", "runs", *SMALL]
    with open("/dev/full", "w") as full:
        run = pcmlab(*race, cwd=tmp_path, stdout=full)
    assert (run.returncode, run.stderr) == (2, "pcmlab: output: cannot be read or written (No space left on device)\n")
    assert len(list((tmp_path / "runs" / "runs").iterdir())) == 1


def test_a_store_that_nobody_may_write_is_listed_shown_and_exported(tmp_path):
    made = pcmlab("run", "float32", "--trials", "1", "--store", "runs", *SMALL, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (key,) = (path.stem for path in (tmp_path / "runs" / "runs").iterdir())
    store = tmp_path / "runs"
    for place in [store, *store.rglob("*")]:
        place.chmod(0o555 if place.is_dir() else 0o444)
    for command in (["runs"], ["runs", "show", key], ["runs", "groups"], ["runs", "export", "--out", "table.csv"]):
        run = pcmlab(*command, "--store", "runs", cwd=tmp_path, before=UNPRIVILEGED)
        assert run.returncode == 0, run.stderr
    assert key in (tmp_path / "table.csv").read_text()
    for refused in (["runs", "prune", "--status", "ok", "--yes"], ["run", "float32", "--trials", "1", *SMALL]):
        run = pcmlab(*refused, "--store", "runs", cwd=tmp_path, before=UNPRIVILEGED)
        assert run.returncode == 2
        assert "cannot be written to (Permission denied)" in run.stderr and run.stderr.count("\n") == 1
    for place in [store, *store.rglob("*")]:
        place.chmod(0o755)
