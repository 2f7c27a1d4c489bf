"""Opens the page in this machine's browser, without telling the others who use the machine what opens it."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from html import escape
from pathlib import Path

LEADING = '<!DOCTYPE html><meta http-equiv="refresh" content="0;url={address}"><a href="{address}">pcmlab</a>'


def show(address: str) -> Path | None:
    """Open an address; one with a token by way of a file that only this person can read.

    The command lines of all processes are there to be read by everybody, and the browser's would hold it.

    Parameters
    ----------
    address : str
        Of a page.

    Returns
    -------
    Path or None
        The file, which somebody has to remove.
    """
    if "?" not in address:
        webbrowser.open(address)
        return None
    handle, name = tempfile.mkstemp(prefix="pcmlab-", suffix=".html")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(LEADING.format(address=escape(address)))
    webbrowser.open(Path(name).as_uri())
    return Path(name)
