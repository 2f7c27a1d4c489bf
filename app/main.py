"""The page for ``panel serve app/main.py``; ``pcmlab serve`` serves the same."""

from __future__ import annotations

import panel as pn

from app.serve import page, prepare

prepare()
if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
    page().servable(title="pcmlab", location=False)
