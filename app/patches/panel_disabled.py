"""A widget that is disabled takes nothing from a browser.

Panel 1.9 draws such a widget grey and trusts the browser with the rest: a message that names it is acted on as if a
person had used it, and one that enables it enables it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from panel.reactive import Syncable


def unless_disabled(take: Callable[..., None]) -> Callable[..., None]:
    """A way to take what a browser sends, left out by widgets that are disabled."""

    @functools.wraps(take)
    def taken(widget: Syncable, *sent: Any) -> None:
        if not getattr(widget, "disabled", False):
            take(widget, *sent)

    return taken


def install() -> None:
    """Have this done in this process; once is enough."""
    Syncable._process_events = unless_disabled(Syncable._process_events)
    Syncable._server_event = unless_disabled(Syncable._server_event)
