"""Spares the browser work that changes nothing.

Bokeh 3.9 rewrites the stylesheet of every glyph and axis each time that a plot is painted, mostly
with the text that is there already, and then asks for a computed style. The browser works out the
styles of the page a dozen times per frame for that: a third of a frame's time.
"""

from __future__ import annotations

from bokeh.document import Document
from bokeh.models import CustomJS

KEEP_EQUAL_STYLES = """
const sheet = Bokeh.require("core/dom").InlineStyleSheet.prototype
if (sheet.keeps_equal) return
const update = sheet._update
sheet._update = function(css) { if (this.el.textContent !== css) update.call(this, css) }
sheet.keeps_equal = true
"""


def spare(document: Document) -> None:
    """Have the browser leave stylesheets alone that would not change.

    Parameters
    ----------
    document : bokeh.document.Document
        The page's document.
    """
    document.js_on_event("document_ready", CustomJS(code=KEEP_EQUAL_STYLES))
