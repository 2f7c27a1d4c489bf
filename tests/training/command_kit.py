"""The command line, called in the process of the test."""

from __future__ import annotations

import pytest

from training import cli


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, and what was printed on standard output and error."""
    try:
        code = cli.main([str(one) for one in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err
