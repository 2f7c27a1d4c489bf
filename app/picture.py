"""Figures as picture files, made in the browser from what it shows.

BokehJS can paint a figure on a canvas or as SVG (``PlotView.export``). Several figures are put
below each other, on the colour that lies behind them on the page: by themselves they are
transparent. Nothing travels to the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bokeh.models import CustomJS
from bokeh.plotting import figure

from pcmsim.errors import FieldError

DENSITY = 2
"""Pixels of a PNG per pixel of the page, along each side."""

KINDS = ("png", "svg")
LONGEST_NAME = 100

CODE = """
const colour_channels = (colour) => {
  const brush = new OffscreenCanvas(1, 1).getContext('2d')
  brush.fillStyle = colour
  brush.fillRect(0, 0, 1, 1)
  return brush.getImageData(0, 0, 1, 1).data
}

const colour_behind = (element) => {
  for (let node = element; node != null; node = node.assignedSlot ?? node.parentNode ?? node.host) {
    if (!(node instanceof Element)) continue
    const [red, green, blue, opacity] = colour_channels(getComputedStyle(node).backgroundColor)
    if (opacity === 255) return `rgb(${red}, ${green}, ${blue})`
  }
  return 'rgb(255, 255, 255)'
}

// Bokeh asks the window how many pixels to paint, and is told for as long as it paints.
const at_density = (density, paint) => {
  const own = Object.getOwnPropertyDescriptor(window, 'devicePixelRatio')
  Object.defineProperty(window, 'devicePixelRatio', {value: density, configurable: true})
  try {
    return paint()
  } finally {
    if (own != null) Object.defineProperty(window, 'devicePixelRatio', own)
    else delete window.devicePixelRatio
  }
}

const as_png = ({parts, width, height, colour}) => {
  const canvas = document.createElement('canvas')
  canvas.width = width * density
  canvas.height = height * density
  const brush = canvas.getContext('2d')
  brush.fillStyle = colour
  brush.fillRect(0, 0, canvas.width, canvas.height)
  at_density(density, () => {
    for (const {view, top} of parts) brush.drawImage(view.export('png').canvas, 0, top * density)
  })
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'))
}

const as_svg = async ({parts, width, height, colour}) => {
  const create = (name, attributes, ...children) => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name)
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
    element.append(...children)
    return element
  }
  const picture = create(
    'svg', {version: '1.1', width, height, viewBox: `0 0 ${width} ${height}`},
    create('rect', {width, height, fill: colour}),
    ...parts.map(({view, top}) =>
      create('g', {transform: `translate(0, ${top})`}, ...view.export('svg').canvas.childNodes)),
  )
  return new Blob([new XMLSerializer().serializeToString(picture)], {type: 'image/svg+xml'})
}

const save = (blob) => {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = `${name}.${kind}`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60000)
}

const views = cb_context.index.select(figures).filter(({bbox}) => bbox.width > 0 && bbox.height > 0)
if (views.length === 0) throw new Error('picture: none of the figures is on the page')
let height = 0
const parts = views.map((view) => {
  const top = height
  height += Math.ceil(view.bbox.height)
  return {view, top}
})
const width = Math.ceil(Math.max(...views.map(({bbox}) => bbox.width)))
const make = {png: as_png, svg: as_svg}[kind]
return make({parts, width, height, colour: colour_behind(views[0].el)}).then(save)
"""

WISH = """
const {plot: [plot], kind: [kind], name: [name]} = cb_obj.data
const figures = plots[plot]
"""


def download(figures: Sequence[figure], kind: str, name: str) -> CustomJS:
    """A callback that saves figures as one picture, below each other, in the browser's downloads.

    Parameters
    ----------
    figures : sequence of bokeh.plotting.figure
        From top to bottom; those that the page does not show are left out.
    kind : str
        ``png``, with two pixels per pixel of the page, or ``svg``, with lines and text as such; a
        heat map is an image in either.
    name : str
        File name without its ending.

    Returns
    -------
    bokeh.models.CustomJS
        For ``js_on_event`` or ``js_on_change`` of a Bokeh model; a Panel widget takes its parts,
        ``widget.js_on_click(args=callback.args, code=callback.code)``.

    Raises
    ------
    FieldError
        If there is no figure, the kind is unknown, or the name cannot be a file's.

    Examples
    --------
    >>> download([figure()], "gif", "run")
    Traceback (most recent call last):
        ...
    pcmsim.errors.FieldError: picture.kind: must be one of png, svg, got 'gif'
    """
    if not figures:
        raise FieldError("picture.figures", "at least one figure", len(figures))
    if kind not in KINDS:
        raise FieldError("picture.kind", f"one of {', '.join(KINDS)}", kind)
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or set(name) & set('/\\:*?"<>|'):
        raise FieldError("picture.name", f'1 to {LONGEST_NAME} printable characters without /\\:*?"<>|', name)
    return CustomJS(args={"figures": list(figures), "kind": kind, "name": name, "density": DENSITY}, code=CODE)


def wished(plots: Mapping[str, Sequence[figure]]) -> CustomJS:
    """A callback that saves the picture that a source's columns ``plot``, ``kind`` and ``name`` wish for.

    Parameters
    ----------
    plots : mapping of str to sequence of bokeh.plotting.figure
        What may be wished for.

    Returns
    -------
    bokeh.models.CustomJS
        For ``js_on_change("data", ...)`` of a `ColumnDataSource`.
    """
    known = {name: list(figures) for name, figures in plots.items()}
    return CustomJS(args={"plots": known, "density": DENSITY}, code=WISH + CODE)
