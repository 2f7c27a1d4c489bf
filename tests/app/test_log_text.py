"""The log: lines keep their gist, tracebacks their end, and no flood fills a disk."""

from __future__ import annotations

import io
import logging

import pytest

from app.server import log_text
from app.server.log_text import Short


@pytest.fixture
def written() -> tuple[logging.Logger, io.StringIO]:
    stream, logger = io.StringIO(), logging.Logger("bokeh.test")
    handler = logging.StreamHandler(stream)
    handler.addFilter(Short())
    logger.addHandler(handler)
    return logger, stream


def test_a_usual_line_is_written_as_it_is(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.error("session %s: %r", 7, "ended")
    assert stream.getvalue() == "session 7: 'ended'\n"


def test_long_lines_and_tracebacks_are_cut(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    try:
        raise ValueError("v" * 10**6 + "the end")
    except ValueError:
        logger.error("error handling %r", "x" * 10**6, exc_info=True)
    assert stream.getvalue().startswith("error handling 'xxx")
    assert stream.getvalue().endswith("vvthe end\n")
    assert len(stream.getvalue()) < log_text.LONGEST + log_text.LONGEST_TRACE + 10


def test_of_a_flood_a_minutes_worth_is_written(
    written: tuple[logging.Logger, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, stream = written
    now = 1000.0
    monkeypatch.setattr(log_text.time, "monotonic", lambda: now)
    for _ in range(10_000):
        logger.error("y" * 500)
    assert len(stream.getvalue()) < log_text.PER_MINUTE + 1000
    assert stream.getvalue().endswith("y\nfurther lines of this minute are left out\n")
    now += 61.0
    logger.error("later")
    assert stream.getvalue().endswith("left out\nlater\n")


def test_the_servers_handlers_are_short() -> None:
    handler = logging.StreamHandler(io.StringIO())
    logging.getLogger("bokeh").addHandler(handler)
    try:
        log_text.install()
        log_text.install()
        assert [*map(type, handler.filters)] == [Short]
    finally:
        logging.getLogger("bokeh").removeHandler(handler)
        for name in log_text.SOURCES:
            for one in [*logging.getLogger(name).handlers, logging.lastResort]:
                one.filters = [each for each in one.filters if not isinstance(each, Short)]
