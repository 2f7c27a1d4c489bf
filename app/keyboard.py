"""Keys of the whole page: space plays and pauses, the right arrow runs one trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS

LISTEN = """
const busy = (event) => {
  const [target, ...around] = event.composedPath()
  const typing = target.matches?.('input, textarea, select, [contenteditable], [role=combobox], [role=option]')
  const over = [target, ...around].some((el) => el.matches?.('.MuiModal-root, [role=dialog], [role=menu]'))
  return typing || over || (event.key === ' ' && target.matches?.('button, [role=button]'))
}
window.addEventListener('keydown', (event) => {
  if (!watched.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey || busy(event)) return
  event.preventDefault()
  keys.data = {key: [event.key], count: [keys.data.count[0] + 1]}
})
"""


class Keyboard:
    """Calls an action when its key is pressed while nothing that takes keys, and no dialog or list, has the focus.

    Parameters
    ----------
    actions : mapping of str to callable
        Actions by the browser's name of the key.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = dict(actions)
        self.keys = ColumnDataSource({"key": [""], "count": [0]}, name="keys")
        self.keys.on_change("data", self._pressed)

    def listen(self, document: Document) -> None:
        """Begin to listen when the page is complete."""
        args = {"keys": self.keys, "watched": list(self._actions)}
        document.js_on_event("document_ready", CustomJS(args=args, code=LISTEN))

    def _pressed(self, attr: str, old: Any, new: Mapping[str, list[str]]) -> None:
        self._actions[new["key"][0]]()
