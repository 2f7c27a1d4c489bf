"""What the browser is told to do, done by Node: files are saved whole, the address is shown and copied, styles kept."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import bokeh
import pytest
from bokeh.document import Document
from bokeh.model import Model
from bokeh.models import CustomJS
from bokeh.plotting import figure
from playwright._impl._driver import compute_driver_executable

from app.address import Address
from app.download import Downloads
from app.thrift import SCRIPT, SPARE

NODE = compute_driver_executable()[0]

FAKE_PAGE = """
const seen = {clicked: [], replaced: [], copied: [], removed: 0}
const blobs = {}
const URL = {
  createObjectURL: (blob) => { const at = `blob:${Object.keys(blobs).length}`; blobs[at] = blob; return at },
  revokeObjectURL: (at) => { delete blobs[at] },
}
const setTimeout = () => {}
const document = {
  createElement: (kind) => ({
    kind, click() { seen.clicked.push(this) }, select() {}, remove() { seen.removed += 1 },
  }),
  body: {appendChild: () => {}},
  execCommand: (what) => { seen.copied.push(`${what} by hand`); return page.by_hand },
}
const window = {
  location: {pathname: '/live', href: 'http://here/live?seed=7'},
  history: {replaceState: (state, title, address) => seen.replaced.push(address)},
}
const navigator = {clipboard: page.clipboard && {
  writeText: (text) => {
    seen.copied.push(text)
    return page.clipboard === 'open' ? Promise.resolve() : Promise.reject(new Error('no'))
  },
}}
"""

PROGRAM = """
const main = async () => {{
  const page = {page}
  {fake}
  const cb_obj = {{data: {data}}}
  {names}
  const play = () => {{ {code} }}
  play()
  await new Promise((resolve) => setImmediate(resolve))
  console.log(JSON.stringify({result}))
}}
main()
"""


def node(program: str) -> Any:
    done = subprocess.run([NODE, "-"], input=program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def played(model: Model, event: str, result: str, names: str = "", **page: Any) -> Any:
    """What is seen of a page after the script of a source has run."""
    (script,) = model.js_property_callbacks[f"change:{event}"]
    assert isinstance(script, CustomJS)
    return node(
        PROGRAM.format(
            page=json.dumps({"clipboard": "open", "by_hand": True, **page}),
            fake=FAKE_PAGE,
            data=literal(model.data),
            names=names,
            code=script.code,
            result=result,
        )
    )


def literal(data: Any) -> str:
    """What a source holds, as the browser gets it."""
    text = json.dumps(dict(data), default=lambda body: {"bytes": body.tolist()})
    return f"JSON.parse({json.dumps(text)}, (_, value) => value?.bytes ? new Uint8Array(value.bytes) : value)"


def changes(*models: Model) -> list[str]:
    """Names of the sources that a document is told about, from now on."""
    document, seen = Document(), []
    for model in models:
        document.add_root(model)
    document.on_change(lambda event: seen.append(event.model.name))
    return seen


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("run.py", "print('µS — ›')\n", "text/x-python"),
        ("run.yaml", "seed: 7\n", "application/yaml"),
        ("loss.csv", b"trial,loss\n0,0.25\n", "text/csv"),
        ("run.txt", "", "text/plain"),
        ("run.safetensors", bytes(range(256)) * 40, "application/octet-stream"),
        ("no-ending", b"\x00\xff", "application/octet-stream"),
    ],
)
def test_a_file_reaches_the_disk_byte_by_byte_under_its_name(name: str, content: bytes | str, kind: str) -> None:
    downloads = Downloads({})
    downloads.give(name, content)
    result = """await (async () => {
      const [link] = seen.clicked
      const bytes = Buffer.from(await blobs[link.href].arrayBuffer()).toString('base64')
      play()  // The source has changed: it is empty now.
      return {left: cb_obj.data, count: seen.clicked.length, element: link.kind, name: link.download, kind: blobs[link.href].type, bytes}
    })()"""
    seen = played(downloads.files, "data", result)
    raw = content.encode() if isinstance(content, str) else content
    assert base64.b64decode(seen.pop("bytes")) == raw
    empty = {column: [] for column in ("count", "name", "kind", "body")}
    assert seen == {"left": empty, "count": 1, "element": "a", "name": name, "kind": kind}


def test_the_same_file_and_the_same_picture_can_be_had_twice() -> None:
    downloads = Downloads({"learning": [figure()]})
    seen, told = changes(downloads.files, downloads.pictures), []
    for _ in range(2):
        downloads.give("run.txt", "one")
        downloads.picture("learning", "png", "mine")
        wishes = [downloads.files.data, downloads.pictures.data]
        assert wishes not in told
        told.append(wishes)
    assert seen == ["files", "pictures"] * 2


def test_pictures_know_their_plots_and_those_made_later() -> None:
    first, later = [figure()], [figure(), figure()]
    downloads = Downloads({"learning": first})
    (saver,) = downloads.pictures.js_property_callbacks["change:data"]
    before = saver.args
    downloads.know({"learning": first})
    assert saver.args is before
    downloads.know({"learning": first, "cell": later})
    assert saver.args["plots"] == {"learning": first, "cell": later}
    assert saver.args["density"] == before["density"]
    assert downloads.pictures.js_property_callbacks["change:data"] == [saver]


def test_the_address_bar_shows_the_query_without_leaving_the_page() -> None:
    address = Address()
    seen = changes(*address.models)
    for query in ("?seed=7", "?seed=7", "?seed=8&preset=sign", "?seed=7"):
        address.show(query)
    assert seen == ["address"] * 3
    address.show("?preset=sign&seed=9")
    assert played(address.bar, "data", "seen.replaced") == ["/live?preset=sign&seed=9"]


@pytest.mark.parametrize(
    ("clipboard", "by_hand", "fine", "copied"),
    [
        ("open", True, True, ["http://here/live?seed=7"]),
        ("shut", True, True, ["http://here/live?seed=7", "copy by hand"]),
        ("shut", False, False, ["http://here/live?seed=7", "copy by hand"]),
        (None, True, True, ["copy by hand"]),
        (None, False, False, ["copy by hand"]),
    ],
)
def test_the_address_is_copied_one_way_or_another_and_the_outcome_told(
    clipboard: str | None, by_hand: bool, fine: bool, copied: list[str]
) -> None:
    address = Address()
    address.copy()
    done = f"const done = {{data: {json.dumps({'fine': [not fine], 'count': [4]})}}}"
    seen = played(
        address.wish, "data", "[seen.copied, done.data, seen.removed]", done, clipboard=clipboard, by_hand=by_hand
    )
    assert seen == [copied, {"fine": [fine], "count": [5]}, copied.count("copy by hand")]


def test_every_wish_to_copy_is_a_change_and_reports_where_it_is_listened_to() -> None:
    address = Address()
    seen = changes(*address.models)
    for _ in range(3):
        address.copy()
    assert (seen, address.wish.data) == (["copy"] * 3, {"count": [3]})
    (script,) = address.wish.js_property_callbacks["change:data"]
    assert script.args == {"done": address.done}
    assert address.done in address.models


FAKE_BOKEH = """
const written = []
class InlineStyleSheet {
  constructor() { this.el = {textContent: ''} }
  _update(css) { written.push(css); this.el.textContent = css }
}
class GlyphRendererView { update_position() { written.push('position') } }
class VisualProperties { _get_css_value() { written.push('asked'); return 'red' } }
class SideLayout {
  constructor(is_horizontal, bbox) { this.panel = {is_horizontal}; this.bbox = bbox }
  _content_size() { return {width: 40, height: 20} }
}
class LayoutDOMView {
  constructor(fields) { Object.assign(this, fields) }
  _after_resize() { this.compute_layout() }
  compute_layout() { written.push('page') }
}
class FlexBoxView extends LayoutDOMView { _update_layout() { written.push('arrange'); this.layout = {} } }
class PlotView extends LayoutDOMView {}
for (const step of ['render', 'invalidate_layout', 'update_layout', 'measure_layout', 'update_bbox', '_compute_layout',
  'after_layout', 'finish']) PlotView.prototype[step] = () => written.push(step)
const parts = {
  'core/dom': {InlineStyleSheet}, 'models/renderers/glyph_renderer': {GlyphRendererView},
  'core/visuals/visual': {VisualProperties}, 'core/layout/side_panel': {SideLayout},
  'models/layouts/layout_dom': {LayoutDOMView}, 'models/plots/plot_canvas': {PlotView},
  'models/layouts/flex_box': {FlexBoxView},
}
const Bokeh = {require: (name) => parts[name]}
"""


def spared(program: str) -> Any:
    """What a program prints on a page that has been spared."""
    return node(FAKE_BOKEH + SPARE + program)


def test_the_script_of_the_page_is_what_is_tested_here() -> None:
    kind, content = SCRIPT.split(",")
    assert kind == "data:text/javascript;base64"
    assert base64.b64decode(content).decode() == SPARE


def test_styles_that_would_not_change_are_left_alone_and_others_are_not() -> None:
    written = spared("""
const sheet = new InlineStyleSheet(), other = new InlineStyleSheet()
for (const css of ['a', 'a', 'b', 'b', 'a', '']) sheet._update(css)
other._update('a')
console.log(JSON.stringify([written, sheet.el.textContent, other.el.textContent]))
""")
    assert written == [["a", "b", "a", "", "a"], "", "a"]


def test_glyphs_have_no_elements_to_move_and_colours_come_from_properties() -> None:
    assert spared("""
new GlyphRendererView().update_position()
const colour = new VisualProperties()._get_css_value('text-color')
console.log(JSON.stringify([written, colour]))
""") == [[], ""]


@pytest.mark.parametrize(
    ("flat", "room", "anew"),
    [(False, 40, False), (False, 39, True), (False, 56, False), (False, 57, True), (True, 20, False), (True, 19, True)],
)
def test_a_plot_is_laid_out_anew_when_labels_grow_or_become_much_smaller(flat: bool, room: int, anew: bool) -> None:
    bbox = {"width": 500 if flat else room, "height": room if flat else 500}
    program = f"console.log(new SideLayout({json.dumps(flat)}, {json.dumps(bbox)}).has_size_changed())"
    assert spared(program) is anew


LAID = ["measure_layout", "update_bbox", "_compute_layout", "after_layout"]
"""What a plot does to be laid out."""


def test_what_surrounds_plots_arranges_itself_and_keeps_no_layout_of_theirs() -> None:
    written = spared("""
const box = new FlexBoxView({})
box._update_layout()
box._after_resize()
new LayoutDOMView({is_layout_root: true})._after_resize()
console.log(JSON.stringify([written, 'layout' in box]))
""")
    assert written == [["arrange"], False]


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ("for (const step of ['update_layout', 'measure_layout', '_compute_layout', 'after_layout']) plot[step]()", []),
        ("plot.bbox = {width: 400, height: 156}; plot._compute_layout()", LAID),
        ("plot.bbox = {width: 401, height: 157}; plot._compute_layout()", LAID),
        ("plot.compute_layout()", LAID),
        ("plot.invalidate_layout()", ["invalidate_layout", "update_layout", *LAID]),
        ("plot.render(); plot.update_layout(); plot._compute_layout()", ["render", "update_layout", *LAID]),
    ],
)
def test_a_plot_is_laid_out_anew_for_changes_of_its_own_alone(change: str, steps: list[str]) -> None:
    written = spared(f"""
const plot = new PlotView({{bbox: {{width: 400, height: 157}}}})
plot.update_layout()
plot._compute_layout()
written.push('change')
{change}
console.log(JSON.stringify(written))
""")
    assert written == ["update_layout", *LAID, "change", *steps]


@pytest.mark.parametrize(("height", "anew"), [(157, False), (123, True)])
def test_a_plot_that_no_longer_fits_its_box_is_laid_out_anew_whoever_noticed_first(height: int, anew: bool) -> None:
    written = spared(f"""
const plot = new PlotView({{bbox: {{width: 400, height: 157}}}})
plot.compute_layout()
plot.bbox = {{width: 400, height: {height}}}
plot.after_resize()
console.log(JSON.stringify(written))
""")
    assert written == [*LAID, "update_bbox", *(LAID if anew else []), "finish"]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        (
            "UIElementView",
            r"\n        after_resize\(\) \{\s*this\._resized = true;\s*if \(this\.update_bbox\(\)\) \{\s*this\._after_resize\(\);\s*\}\s*this\.finish\(\);\s*\}",
        ),
        ("LayoutDOMView", r"_after_resize\(\) \{.*?this\.compute_layout\(\);"),
        (
            "LayoutDOMView",
            r"\n        compute_layout\(\) \{.*?this\.measure_layout\(\);\s*this\.update_bbox\(\);\s*this\._compute_layout\(\);\s*this\.after_layout\(\);",
        ),
        (
            "LayoutDOMView",
            r"\n        update_layout\(\) \{.*?child_view\.update_layout\(\);\s*\}\s*this\._update_layout\(\);",
        ),
        ("LayoutDOMView", r"\n        measure_layout\(\) \{.*?child_view\.measure_layout\(\);"),
        ("LayoutDOMView", r"\n        _compute_layout\(\) \{.*?\} *\n *else \{.*?child_view\._compute_layout\(\);"),
        ("LayoutDOMView", r"\n        after_layout\(\) \{.*?child_view\.after_layout\(\);"),
        ("LayoutDOMView", r"\n        invalidate_layout\(\) \{.*?this\.parent\.invalidate_layout\(\);"),
        ("FlexBoxView", r"_update_layout\(\) \{.*?this\.layout = new .*?delete this\.layout;"),
        ("InlineStyleSheet", r"_update\(css\) \{\s*this\.el\.textContent = css;\n"),
        ("VisualProperties", r"_get_css_value\(name\) \{"),
        ("RendererView", r"update_position\(\) \{"),
        ("GlyphRendererView", r"set_data\("),
        ("SideLayout", r"has_size_changed\(\) \{\s*const \{ width, height \} = this\._content_size\(\);"),
    ],
)
def test_the_installed_bokeh_still_has_what_is_spared(name: str, method: str) -> None:
    source = (Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.js").read_text()
    bodies = re.findall(
        rf"\n    class {name} extends (?:.*?)\n    exports\.{name}|\n    class {name} \{{(?:.*?)\n    exports\.{name}",
        source,
        re.S,
    )
    assert any(re.search(method, body, re.S) for body in bodies)
