"""The patch `app.patches.bokeh_connection` is needed as long as BokehJS reconnects wrongly, and finds what it replaces."""

from __future__ import annotations

import re
from pathlib import Path

import bokeh
import pytest

from app.patches.bokeh_connection import HOOKS

SOURCE = (Path(bokeh.__file__).parent / "server/static/js/bokeh.js").read_text("utf-8")
CLIENT = SOURCE[SOURCE.index("class ClientConnection {") : SOURCE.index("exports.ClientConnection = ClientConnection")]
UNNEEDED = "app/patches/bokeh_connection.py may no longer be needed: BokehJS {}"


def body(method: str) -> str:
    """What a method of BokehJS's connection does."""
    found = re.search(rf"\n        (?:async )?{method}\(.*?\n        \}}\n", CLIENT, re.DOTALL)
    assert found is not None, f"app/patches/bokeh_connection.py replaces {method}, which BokehJS has no more"
    return found[0]


@pytest.mark.parametrize("method", ["connect", "_on_message", "_schedule_reconnect", "send"])
def test_what_is_replaced_is_there(method: str) -> None:
    assert method in HOOKS
    assert body(method)


def test_bokehjs_still_reads_on_in_the_middle_of_a_message_that_was_cut_off() -> None:
    assert "Receiver" not in body("connect"), UNNEEDED.format("begins a new connection with a new receiver")


def test_bokehjs_still_throws_away_the_arrays_of_a_document_that_it_asks_for_again() -> None:
    again = body("_repull_session_doc")
    assert "replace_with_json(doc_json);" in again, UNNEEDED.format("takes a document's arrays when it reconnects")


def test_bokehjs_still_gives_up_after_a_few_tries() -> None:
    assert "MAX_RECONNECTION_ATTEMPTS" in CLIENT, UNNEEDED.format("tries to reconnect for as long as it takes")
