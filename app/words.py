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

    @property
    def _linked_properties(self) -> tuple[str, ...]:
        """What browsers may change: nothing."""
        return ()

    def show(self, html: str) -> None:
        """Show something else, within the frame that is being drawn.

        A changed parameter would do the same through Panel, at seven times the cost; a page has twenty such texts.

        Parameters
        ----------
        html : str
            What to show. Escape what comes from outside.
        """
        if html == self.html:
            return
        with param.parameterized.discard_events(self):
            self.html = html
        for model, _ in self._models.values():
            model.data.html = html
