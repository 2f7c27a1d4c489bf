"""What ended sessions leave behind is tidied up; what closing tabs still say is no error."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from app import tidy


async def _handled(handler, message, connection):
    return f"{message} handled"


@pytest.mark.parametrize(("session", "expected"), [(object(), "word handled"), (None, None)])
def test_a_late_message_is_passed_over(session, expected):
    connection = SimpleNamespace(_session=session)
    assert asyncio.run(tidy._unless_gone(_handled)(None, "word", connection)) == expected


@pytest.mark.parametrize(
    ("connection", "closed"), [(None, 1), (SimpleNamespace(_session=1), 1), (SimpleNamespace(_session=None), 0)]
)
def test_a_connection_is_closed_once(connection, closed):
    calls = []
    tidy._closing_once(calls.append)(SimpleNamespace(connection=connection))
    assert len(calls) == closed


def test_memory_is_given_back_once_for_all_sessions_that_ended(monkeypatch):
    calls = []
    monkeypatch.setattr(tidy, "give_back", lambda: calls.append(1))
    monkeypatch.setattr(tidy, "PATIENCE", 0.05)

    async def ends():
        tidying = tidy.Tidying()
        for _ in range(3):
            tidying.soon()
        await asyncio.sleep(0.2)
        first = len(calls)
        tidying.soon()
        await asyncio.sleep(0.2)
        return first

    assert asyncio.run(ends()) == 1
    assert len(calls) == 2


def test_freed_memory_goes_back():
    tidy.give_back()  # Must not fail, whatever the system.
