"""The browser's address bar: shows the run's configuration, and gives it to the clipboard."""

from __future__ import annotations

from bokeh.models import ColumnDataSource, CustomJS

REPLACE = "window.history.replaceState(null, '', window.location.pathname + cb_obj.data.query[0])"

COPY = """
const copied = (fine) => { done.data = {fine: [fine], count: [done.data.count[0] + 1]} }
const by_hand = () => {
  const box = document.createElement('textarea')
  box.value = window.location.href
  document.body.appendChild(box)
  box.select()
  const fine = document.execCommand('copy')
  box.remove()
  copied(fine)
}
if (navigator.clipboard) navigator.clipboard.writeText(window.location.href).then(() => copied(true), by_hand)
else by_hand()
"""


class Address:
    """Writes the address without adding to the browser's history."""

    def __init__(self) -> None:
        self.bar = ColumnDataSource({"query": [""]}, name="address")
        self.bar.js_on_change("data", CustomJS(code=REPLACE))
        self.done = ColumnDataSource({"fine": [True], "count": [0]}, name="copied")
        self.wish = ColumnDataSource({"count": [0]}, name="copy")
        self.wish.js_on_change("data", CustomJS(args={"done": self.done}, code=COPY))

    @property
    def models(self) -> list[ColumnDataSource]:
        """What must travel with the page."""
        return [self.bar, self.done, self.wish]

    def show(self, query: str) -> None:
        """Put a query into the address bar."""
        if self.bar.data["query"] != [query]:
            self.bar.data = {"query": [query]}

    def copy(self) -> None:
        """Put the address on the clipboard; `done` tells whether that went well."""
        self.wish.data = {"count": [self.wish.data["count"][0] + 1]}
