"""What can go wrong, as a small tree under `ValueError`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pcmsim.foundation.quoting import LONGEST, path_shown, quoted, reason


class PCMLabError(ValueError):
    """Root of every error that pcmlab raises on purpose; its text is one line for a person."""

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process with its text as it is; the constructors would take it for their first argument."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[PCMLabError], arguments: tuple[Any, ...], fields: dict[str, Any]) -> PCMLabError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(fields)
    return error


class FieldError(PCMLabError):
    """A field holds a value that it must not hold.

    Parameters
    ----------
    field : str
        Dotted name of the field, such as ``PulseModel.g_max``.
    expected : str
        What is allowed, in words.
    got : object
        The offending value.
    """

    def __init__(self, field: str, expected: str, got: object) -> None:
        self.field, self.expected, self.got = field, expected, got
        super().__init__(f"{field}: must be {expected}, got {quoted(got)}")


class UnknownNameError(PCMLabError, KeyError):
    """A name that no registry entry, field or preset carries.

    Parameters
    ----------
    kind : str
        What was looked up, such as ``update scheme``.
    name : str
        The name that was asked for.
    known : iterable of str
        The names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        close = difflib.get_close_matches(name[:LONGEST], self.known, n=1) if isinstance(name, str) else []
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        super().__init__(f"unknown {kind} {quoted(name)}{hint}; known: {', '.join(self.known)}")


class FileError(PCMLabError):
    """A file is missing, unreadable, damaged or not ours.

    Parameters
    ----------
    path : str or Path
        The file.
    problem : str
        What is wrong with it and what was expected.
    """

    def __init__(self, path: str | Path, problem: str) -> None:
        self.path, self.problem = Path(path), problem
        super().__init__(f"{path_shown(path)}: {problem}")


def sentence(error: BaseException) -> str:
    """What went wrong, in one line for a person; of what nobody foresaw, the kind too.

    Examples
    --------
    >>> sentence(PCMLabError("the chip is away")), sentence(KeyError("x"))
    ('the chip is away', "KeyError: 'x'")
    """
    return str(error) if isinstance(error, PCMLabError) else f"{type(error).__name__}: {reason(error)}"


class RestartRequiredError(PCMLabError):
    """A setting cannot change while a run lives, because it decides the run's shape.

    Parameters
    ----------
    fields : sequence of str
        Dotted names of the settings that differ.
    """

    def __init__(self, fields: Iterable[str]) -> None:
        self.fields = list(fields)
        super().__init__(f"{', '.join(self.fields)}: changes only with a new run, not between trials")
