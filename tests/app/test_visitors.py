"""Places for visitors: counted under threads, given back once, and named in words when there are none."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from bokeh.document import Document
from bokeh.events import DocumentReady

from app.server.limits import Limits
from app.visitors import SPARE, Guest, Visitors, full_page
from pcmsim.errors import FieldError


class Served:
    """A document as Bokeh serves it."""

    def __init__(self, key: str) -> None:
        self.asked_to_end = False
        self.session = SimpleNamespace(
            connection_count=0, request_expiration=self._end, milliseconds_since_last_unsubscribe=0.0
        )
        self.context = SimpleNamespace(id=key, session=self.session)
        self.document = Document()
        self.document._session_context = lambda: self.context

    def connect(self) -> None:
        self.session.connection_count = 1
        self.document.callbacks.trigger_event(DocumentReady())

    def destroy(self) -> None:
        for callback in self.document.session_destroyed_callbacks:
            callback(self.context)

    def _end(self) -> None:
        self.asked_to_end = True


class Gone(Guest):
    """Somebody who has been away for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.left = seconds, False

    def away(self) -> float:
        return self.seconds

    def leave(self) -> None:
        self.left = True


def test_so_many_and_no_more() -> None:
    visitors = Visitors(most=3)
    assert [visitors.admit(str(number)) for number in range(5)] == [True, True, True, False, False]
    assert visitors.live == 3


def test_who_is_inside_needs_no_second_place() -> None:
    visitors = Visitors(most=1)
    assert visitors.admit("first")
    assert visitors.admit("first")
    assert visitors.live == 1
    visitors.release("first")
    assert visitors.live == 0


def test_a_place_is_given_back_once() -> None:
    visitors = Visitors(most=2)
    visitors.admit("first")
    visitors.admit("second")
    for _ in range(3):
        visitors.release("first")
        visitors.release("never came")
    assert visitors.live == 1
    assert visitors.admit("third")
    assert not visitors.admit("fourth")


def test_who_leaves_makes_room_only_when_room_is_needed() -> None:
    visitors = Visitors(most=2)
    visitors.admit("gone", Gone(1.0))
    visitors.admit("here", Guest())
    assert visitors.live == 2
    assert visitors.admit("next")
    assert visitors.live == 2
    assert not visitors.admit("too many")


def test_who_has_been_away_for_longest_leaves_alone() -> None:
    visitors, guests = Visitors(most=3), [Gone(1.0), Gone(200.0), Gone(30.0)]
    for number, guest in enumerate(guests):
        visitors.admit(str(number), guest)
    assert visitors.admit("next")
    assert [guest.left for guest in guests] == [False, True, False]
    assert visitors.admit("1") is True  # It has to find a place anew.
    assert [guest.left for guest in guests] == [False, True, True]


def test_threads_never_get_more_places_than_there_are() -> None:
    visitors, most_seen = Visitors(most=5), []
    inside, guard = set[str](), threading.Lock()

    def come_and_go(number: int) -> None:
        chance = random.Random(number)
        for visit in range(300):
            key = f"{number}.{visit}"
            if visitors.admit(key):
                with guard:
                    inside.add(key)
                    most_seen.append(len(inside))
                if chance.random() < 0.5:
                    threading.Event().wait(1e-5)
                with guard:
                    inside.remove(key)
                visitors.release(key)

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= max(most_seen) <= 5
    assert visitors.live == 0


def test_no_place_at_all_is_no_limit() -> None:
    with pytest.raises(FieldError, match=r"^Visitors\.most: must be >= 1, got 0$"):
        Visitors(most=0)


def arrives(visitors: Visitors, served: Served) -> bool:
    """Whether a browser that asks for a page and connects finds a place."""
    if not visitors.awaits(served.document):
        return False
    served.connect()
    return visitors.welcome(served.document)


def test_a_session_that_is_destroyed_gives_its_place_back() -> None:
    visitors, first, second = Visitors(most=1), Served("a"), Served("b")
    assert arrives(visitors, first)
    assert not arrives(visitors, second)
    assert not first.asked_to_end
    first.destroy()
    first.destroy()
    assert visitors.live == 0
    assert arrives(visitors, second)


def test_a_session_that_never_connected_leaves_nothing() -> None:
    visitors, first = Visitors(most=1), Served("a")
    assert visitors.awaits(first.document)
    assert len(visitors._expected) == 1
    first.destroy()
    assert len(visitors._expected) == 0


def test_a_refused_session_takes_nothing_with_it() -> None:
    visitors, first, second = Visitors(most=1), Served("a"), Served("b")
    assert arrives(visitors, first)
    assert not arrives(visitors, second)
    second.destroy()
    assert visitors.live == 1
    assert "document_ready" in second.document.callbacks._js_event_callbacks
    assert "document_ready" not in first.document.callbacks._js_event_callbacks


def test_a_browser_that_has_gone_leaves_its_place_to_the_next() -> None:
    """Even if it has never said that it has drawn the page."""
    visitors, first, second = Visitors(most=1), Served("a"), Served("b")
    assert arrives(visitors, first)
    assert not arrives(visitors, second)
    first.session.connection_count = 0
    assert arrives(visitors, second)
    assert first.asked_to_end
    first.destroy()
    assert visitors.live == 1


def test_limits_without_a_word_are_the_defaults() -> None:
    assert Limits.asked(environment={}) == Limits(12, 120.0)
    assert Limits.asked(environment={"PCMLAB_MAX_SESSIONS": " ", "PCMLAB_IDLE_MINUTES": ""}) == Limits(12, 120.0)


def test_the_command_line_goes_before_the_environment() -> None:
    environment = {"PCMLAB_MAX_SESSIONS": "3", "PCMLAB_IDLE_MINUTES": "0.5", "PCMLAB_KEEP_MINUTES": "2"}
    assert Limits.asked(environment=environment) == Limits(3, 0.5, 2.0)
    assert Limits.asked("7", 0, "1", environment) == Limits(7, 0.0, 1.0)
    assert Limits.asked(7, environment={"PCMLAB_MAX_SESSIONS": "nonsense"}).sessions == 7


@pytest.mark.parametrize("value", ["0", "-1", "1001", "2.5", "many", "1e3", "²", "nan"])
@pytest.mark.parametrize("ask", ["option", "variable"])
def test_a_bad_number_of_sessions_is_refused_in_words(value: str, ask: str) -> None:
    source = {"option": "--max-sessions", "variable": "PCMLAB_MAX_SESSIONS"}[ask]
    with pytest.raises(FieldError, match=f"^{source}: must be a whole number from 1 to 1000, got '{value}'$"):
        ASK[ask]("sessions", value)


@pytest.mark.parametrize("value", ["-1", "inf", "1e400", "nan", "two hours"])
@pytest.mark.parametrize("name", ["idle", "keep"])
@pytest.mark.parametrize("ask", ["option", "variable"])
def test_bad_minutes_are_refused_in_words(value: str, ask: str, name: str) -> None:
    source = {"option": f"--{name}-minutes", "variable": VARIABLES[name]}[ask]
    with pytest.raises(FieldError, match=f"^{source}: must be a number of minutes >= 0, got '{value}'$"):
        ASK[ask](name, value)


VARIABLES = {"sessions": "PCMLAB_MAX_SESSIONS", "idle": "PCMLAB_IDLE_MINUTES", "keep": "PCMLAB_KEEP_MINUTES"}
ASK: dict[str, Callable[[str, str], Limits]] = {
    "option": lambda name, value: Limits.asked(**{name: value}, environment={}),
    "variable": lambda name, value: Limits.asked(environment={VARIABLES[name]: value}),
}


@pytest.mark.parametrize(
    ("live", "words"), [(12, "12 live sessions run on this server"), (1, "1 live session runs on this server")]
)
def test_the_full_page_says_how_many_the_limit_and_what_to_do(live: int, words: str) -> None:
    html = full_page(live, live).object
    assert words in html
    assert f"the limit is {live}:" in html
    assert "close a tab" in html
    assert '<a href="">Try again</a>' in html


HERE, THERE = "192.0.2.7", "198.51.100.9"


def test_one_address_leaves_places_to_others() -> None:
    visitors = Visitors(most=6)
    assert [visitors.admit(str(number), Guest(HERE)) for number in range(6)] == [True] * 4 + [False] * 2
    assert [visitors.admit(f"there {number}", Guest(THERE)) for number in range(3)] == [True, True, False]
    assert not visitors.expect("more", Guest(HERE))


def test_this_machines_own_may_have_all_places_unless_a_limit_is_named() -> None:
    assert all(Visitors(most=3).admit(str(number), Guest("127.0.0.1")) for number in range(3))
    visitors = Visitors(most=3, per_address=1)
    assert visitors.admit("a", Guest("127.0.0.1"))
    assert not visitors.admit("b", Guest("127.0.0.1"))


def test_who_is_expected_takes_no_place_and_not_too_many_are_expected() -> None:
    visitors = Visitors(most=2)
    expected = [visitors.expect(str(number), Guest("::1")) for number in range(40)]
    assert expected == [True] * (2 + SPARE // 2) + [False] * (38 - SPARE // 2)
    assert visitors.live == 0
    visitors.release("0")
    assert visitors.expect("again", Guest("::1"))


def test_nobody_is_expected_where_all_are_here() -> None:
    visitors = Visitors(most=1)
    visitors.admit("here")
    assert not visitors.expect("next")
    visitors.release("here")
    visitors.admit("gone", Gone(3.0))
    assert visitors.expect("next")
    assert visitors.live == 1


def test_somebody_who_has_all_places_of_an_address_is_told_so() -> None:
    visitors, first, second = Visitors(most=3), Served("a"), Served("b")
    for served in (first, second):
        served.context.request = SimpleNamespace(remote_ip=HERE)
    visitors.admit("x", Guest(HERE))
    assert arrives(visitors, first)
    assert not visitors.awaits(second.document)
    told = visitors.refused(second.document).object
    assert "2 live sessions of your address run on this server and the limit is 2" in told


def test_a_limit_per_address_is_read_and_refused_like_the_others() -> None:
    assert Limits.asked(environment={"PCMLAB_MAX_PER_ADDRESS": "3"}).per_address == 3
    assert Limits.asked(per_address="2", environment={"PCMLAB_MAX_PER_ADDRESS": "3"}).per_address == 2
    with pytest.raises(FieldError, match="^--max-per-address: must be a whole number from 1 to 1000, got '0'$"):
        Limits.asked(per_address="0", environment={})
