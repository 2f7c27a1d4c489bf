"""Keys of the whole page: space plays and pauses, the right arrow runs one trial; and signs that somebody is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS

LISTEN = """
const texts = 'input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]'
const lists = '[role=combobox], [role=option]'
const used = {' ': 'button, [role=button], [type=checkbox]', ArrowRight: '[type=range]'}
const busy = (event) => {
  const [target, ...around] = event.composedPath()
  const typing = target.matches?.(`${texts}, ${lists}`) || target.matches?.(used[event.key] ?? ':not(*)')
  return typing || [target, ...around].some((el) => el.matches?.('.MuiModal-root, [role=dialog], [role=menu]'))
}
const tell = (key) => { keys.data = {key: [key], count: [keys.data.count[0] + 1]} }
let told = 0
const touched = () => {
  if (Date.now() - told < 1000) return
  told = Date.now()
  tell('')
}
for (const kind of ['keydown', 'pointerdown']) window.addEventListener(kind, touched, true)
window.addEventListener('keydown', (event) => {
  if (!watched.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey || busy(event)) return
  event.preventDefault()
  tell(event.key)
})
"""
"""Sends keys that nothing else uses and, as an empty key, at most once a second, that somebody is there."""


class Keyboard:
    """Calls an action when its key is pressed while nothing that takes keys, and no dialog or list, has the focus.

    Parameters
    ----------
    actions : mapping of str to callable
        Actions by the browser's name of the key.
    touched : callable
        Called when any key is pressed or anything is clicked or touched, about once a second.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]], touched: Callable[[], None] = lambda: None) -> None:
        self._actions = {"": touched, **actions}
        self.keys = ColumnDataSource({"key": [""], "count": [0]}, name="keys")
        self.keys.on_change("data", self._pressed)

    def listen(self, document: Document) -> None:
        """Begin to listen when the page is complete."""
        args = {"keys": self.keys, "watched": [key for key in self._actions if key]}
        document.js_on_event("document_ready", CustomJS(args=args, code=LISTEN))

    def _pressed(self, attr: str, old: Any, new: Mapping[str, list[str]]) -> None:
        self._actions[new["key"][0]]()
