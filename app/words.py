"""Text that changes many times a second without moving anything else on the page."""

from __future__ import annotations

import param
from panel.custom import JSComponent

ESM = """
export function render({model, el}) {
  const box = document.createElement('div')
  box.className = 'words'
  const show = () => { if (box.innerHTML !== model.html) box.innerHTML = model.html }
  model.on('html', show)
  show()
  el.appendChild(box)
}
"""


class Words(JSComponent):
    """Shows HTML in place; a `panel.pane.HTML` would lay out the whole page anew at each change.

    Parameters
    ----------
    html : str
        What to show. Escape what comes from outside.
    """

    html = param.String("")

    _esm = ESM
