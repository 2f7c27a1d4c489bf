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
from command_kit import call

from training.config import RunConfig
from training.jobs import Job, perform
from training.store import Store

ROOT = Path(__file__).parents[2]
NOWHERE = "/proc/nobody"
"""A home directory that does not exist, and that nobody can make."""

VALUES = {"network.hidden": 6, "task": {"name": "pattern", "inputs": 6, "duration": 0.05}}
SMALL = [*(f"--set={name}={json.dumps(value)}" for name, value in VALUES.items()), "--quiet"]
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


def test_a_home_directory_that_cannot_be_made_is_named_where_it_is_needed(capsys, monkeypatch):
    monkeypatch.setenv("HOME", NOWHERE)
    for variable in ("XDG_CONFIG_HOME", "PCMLAB_CHIP_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    code, _, said = call(capsys, "run", "core", "--chip", "127.0.0.1:1")
    assert code == 2
    assert f"{NOWHERE}/.config/pcmlab/chip-token" in said and said.count("\n") == 1


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
        "sweep", str(_grid(tmp_path)), "--store", str(tmp_path / "runs"), "--workers", "1", "--quiet",
        cwd=ROOT, PYTHONPATH=".",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "runs" / "runs").iterdir())) == 2


def _grid(folder: Path) -> Path:
    asked = {"name": "grid", "set": VALUES, "seeds": [1, 2], "trials": 1, "every": 1}
    (folder / "grid.json").write_text(json.dumps(asked))
    return folder / "grid.json"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One run, in a group whose name no ASCII terminal can show."""
    made, job = Store(tmp_path / "runs"), Job(RunConfig().with_values(VALUES), trials=1, every=1)
    made.add(perform(job))
    made.keep_group("ü", "sweep", {}, [job])
    return made


def test_a_terminal_that_knows_ascii_alone_gets_escapes_in_tables_too(store, tmp_path):
    run = pcmlab("runs", "groups", "--store", "runs", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (run.returncode, run.stderr) == (0, "")
    assert r"\xfc" in run.stdout


def test_a_full_disk_behind_standard_output_is_told_in_one_line_and_the_run_is_kept(tmp_path):
    with open("/dev/full", "w") as full:
        run = pcmlab("run", "float32", "--trials", "1", "--store", "runs", *SMALL, cwd=tmp_path, stdout=full)
    assert (run.returncode, run.stderr) == (2, "pcmlab: output: cannot be read or written (No space left on device)\n")
    assert len(Store(tmp_path / "runs", read_only=True).runs()) == 1


COMMANDS = """
import sys
from training.cli import main
print("\\n", [main([*command.split(), "--store", "runs"]) for command in sys.argv[1:]])
"""


def test_a_store_that_nobody_may_write_is_listed_shown_and_exported(store, tmp_path):
    (key,) = store.keys()
    for place in [store.folder, *store.folder.rglob("*")]:
        place.chmod(0o555 if place.is_dir() else 0o444)
    reading = ("runs", f"runs show {key}", f"runs compare {key} {key}", "runs groups", "runs export --out table.csv")
    writing = ("runs prune --group ü --yes", "run float32 --trials 1")
    run = python("-c", COMMANDS, *reading, *writing, cwd=tmp_path, before=UNPRIVILEGED)
    for place in (found for found in store.folder.rglob("*") if found.is_dir()):
        place.chmod(0o755)
    assert run.stdout.splitlines()[-1] == f" {[0] * len(reading) + [2] * len(writing)}", run.stderr
    assert key in (tmp_path / "table.csv").read_text()
    said = run.stderr.splitlines()
    assert len(said) == len(writing) and all("cannot be written to (Permission denied)" in line for line in said)
