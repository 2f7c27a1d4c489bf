"""Spares the browser work that changes nothing.

Bokeh 3.9 describes every glyph, axis and text by elements and stylesheets besides painting it, for
pages that style plots by CSS. This page does not, yet pays: each plot that is painted rewrites its
stylesheets and asks for computed styles, and the browser works out the styles of the whole page a
dozen times per frame. That is most of a frame's time.
"""

from __future__ import annotations

from app.browser.link import script

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
  // The browser arranges the page: a widget that changes concerns no plot, and a plot no other. So what surrounds
  // a plot may arrange itself as often as it likes: the plot is laid out anew for changes of its own, or of its size.
  Bokeh.require("models/layouts/layout_dom").LayoutDOMView.prototype._after_resize = function() {}
  const box = Bokeh.require("models/layouts/flex_box").FlexBoxView.prototype, arrange = box._update_layout
  box._update_layout = function() {
    arrange.call(this)
    delete this.layout
  }
  const plot = Bokeh.require("models/plots/plot_canvas").PlotView.prototype
  const {render, update_layout, measure_layout, _compute_layout, after_layout, invalidate_layout} = plot
  plot.render = function() {
    render.call(this)
    this._laid = null
  }
  plot.compute_layout = function() {
    measure_layout.call(this)
    this.update_bbox()
    _compute_layout.call(this)
    after_layout.call(this)
    this._layout_computed = true
    this._laid = this.bbox
  }
  plot.invalidate_layout = function() {
    invalidate_layout.call(this)
    update_layout.call(this)
    this.compute_layout()
  }
  plot.update_layout = function() { if (this._laid == null) update_layout.call(this) }
  plot.measure_layout = plot.after_layout = function() {}
  plot._compute_layout = function() {
    const {width, height} = this.bbox
    if (this._laid == null || this._laid.width !== width || this._laid.height !== height) this.compute_layout()
  }
  plot.after_resize = function() {
    this._resized = true
    this.update_bbox()
    this._compute_layout()
    this.finish()
  }
}
"""

SCRIPT = script(SPARE)
"""Address of a script for the page's head, to be run after Bokeh's and before anything is drawn."""
