"""Spares the browser work that changes nothing.

Bokeh 3.9 describes every glyph, axis and text by elements and stylesheets besides painting it, for
pages that style plots by CSS. This page does not, yet pays: each plot that is painted rewrites its
stylesheets and asks for computed styles, and the browser works out the styles of the whole page a
dozen times per frame. That is most of a frame's time.
"""

from __future__ import annotations

import base64

SPARE = """
{
  const dom = Bokeh.require("core/dom"), {GlyphRendererView} = Bokeh.require("models/renderers/glyph_renderer")
  const sheet = dom.InlineStyleSheet.prototype
  // Mostly the text that is there already.
  const update = sheet._update
  sheet._update = function(css) { if (this.el.textContent !== css) update.call(this, css) }
  // The empty element of a glyph follows the glyph's extent; what is clicked is found on the canvas.
  GlyphRendererView.prototype.update_position = function() {}
  // Looks come from properties: no stylesheet of the page sets one of the variables that could replace them.
  Bokeh.require("core/visuals/visual").VisualProperties.prototype._get_css_value = () => ""
  // Labels of an axis that need a little less room are no reason to lay the plot out anew.
  Bokeh.require("core/layout/side_panel").SideLayout.prototype.has_size_changed = function() {
    const {width, height} = this._content_size(), flat = this.panel.is_horizontal
    const spare = flat ? this.bbox.height - height : this.bbox.width - width
    return spare < 0 || spare > 16
  }
  // The browser arranges the page: a plot that changes concerns no other, a widget that does concerns none.
  const part = Bokeh.require("models/layouts/layout_dom").LayoutDOMView.prototype
  const plot = Bokeh.require("models/plots/plot_canvas").PlotView.prototype
  const {_after_resize} = part
  part._after_resize = function() { if (this.layout != null || this.is_layout_root) _after_resize.call(this) }
  // What surrounds a plot may have taken note of its new box already, so that does not tell whether it fits.
  plot.after_resize = function() {
    this._resized = true
    this.update_bbox()
    const {width, height} = this.layout.bbox
    if (width !== this.bbox.width || height !== this.bbox.height) this._after_resize()
    this.finish()
  }
  plot.compute_layout = function() {
    this.measure_layout()
    this.update_bbox()
    this._compute_layout()
    this.after_layout()
    this._layout_computed = true
  }
}
"""

SCRIPT = "data:text/javascript;base64," + base64.b64encode(SPARE.encode()).decode()
"""Address of a script for the page's head, to be run after Bokeh's and before anything is drawn."""
