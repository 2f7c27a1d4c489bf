"""Buttons of the top bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.controls import responsive
from app.pages.header import BUTTON


def row(*buttons: Any) -> pn.Row:
    """Buttons at the right end of the bar."""
    return pn.Row(
        pn.Spacer(sizing_mode="stretch_width"), *buttons, sizing_mode="stretch_width", margin=0, align="center"
    )


def button(label: str, icon: str, act: Callable[[], Any], *classes: str) -> Any:
    """A button that does something at once."""
    made = pmui.Button(
        label=label, icon=icon, size="small", variant="contained", color="primary",
        margin=(0, 3), stylesheets=[BUTTON], css_classes=list(classes),
    )  # fmt: skip
    made.on_click(lambda _: act())
    return responsive(made)


def menu(label: str, icon: str, entries: Iterable[str], act: Callable[[str], Any]) -> Any:
    """A button that opens a list; gets the entry that is chosen."""
    made = pmui.MenuButton(
        label=label, icon=icon, size="small", variant="contained", color="primary", margin=(0, 3),
        items=[{"label": entry} for entry in entries], stylesheets=[BUTTON],
    )  # fmt: skip
    made.on_click(lambda item: act(item["label"]))
    return made
