"""The help dialog: keys, and where to click."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui

KEYS = {
    "Space": "play or pause",
    "→": "one trial, then pause",
    "Esc": "close the inspector or a dialog",
    "?": "this help",
}
PLACES = {
    "Click a synapse in the heat map": "its devices, their pulses, drift and reads, and what e-prop asks of it",
    "Click a neuron in the hidden raster": "its voltage, threshold, learning signal and eligibility",
    "Drag a box in a plot": "zoom; a double click goes back (not in confusions, examples, wear, inspector)",
    "Hover over a curve, bar, dot or heat map": "its values (not in the inspector)",
    "Hover over a control": "meaning, unit, range and source",
    "Pin run": "keeps this learning curve as a ghost to compare with",
    "Share": "copies an address that opens this very run",
    "Export": "the run as Python, command or YAML; plots as PNG, SVG, CSV, Parquet; the checkpoint, both ways",
    "Twin": "the same run from now on, same random numbers, with one non-ideality off",
}


class HelpDialog:
    """Filled when first opened."""

    def __init__(self) -> None:
        self.view = pmui.Dialog(title="Help", open=False, show_close_button=True, close_on_click=True)

    def open(self) -> None:
        """Show the dialog."""
        if not self.view.objects:
            self.view.objects = [pn.pane.HTML(html(), sizing_mode="stretch_width", stylesheets=[LOOK])]
        self.view.open = True


def html() -> str:
    """Keys and places as two lists."""
    keys = "".join(f"<dt><kbd>{key}</kbd></dt><dd>{does}</dd>" for key, does in KEYS.items())
    places = "".join(f"<dt>{where}</dt><dd>{does}</dd>" for where, does in PLACES.items())
    return f"<h3>Keys</h3><dl>{keys}</dl><h3>Things to click</h3><dl>{places}</dl>"


LOOK = """
:host { font-size: calc(14px * var(--text, 1)) } h3 { margin: 8px 0 4px; font-size: calc(15px * var(--text, 1)) }
dl { display: grid; grid-template-columns: minmax(120px, auto) 1fr; gap: 4px 16px; margin: 0 } dd { margin: 0 }
kbd { border: 1px solid currentcolor; border-radius: 4px; padding: 0 6px; font-family: inherit }
"""
