"""Pictures of figures, downloaded for real: decoded again, they show what the page shows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.models import Button, ColorBar, Div, LinearColorMapper, Range1d
from bokeh.plotting import figure
from bokeh.resources import INLINE
from PIL import Image
from playwright.sync_api import Browser, Download, Page

from app.picture import DENSITY, KINDS, download
from app.theme import LIGHT, blank_figure, restyle
from pcmsim.errors import FieldError

SVG = "{http://www.w3.org/2000/svg}"
SURFACE = (24, 33, 41)
RUN = "#ff00aa"
WIDTH, HEIGHTS = 300, (120, 80)


def line_figure(height: int) -> figure:
    """A figure as the page has them, with one wide line at half its height."""
    plot = blank_figure(
        width=WIDTH,
        height=height,
        sizing_mode="fixed",
        x_range=Range1d(0, 10),
        y_range=Range1d(-1, 1),
        name=f"of {height}",
    )
    plot.line([0, 10], [0, 0], line_color=RUN, line_width=6)
    plot.xaxis.axis_label = "time (µs) < & >"
    restyle(plot, LIGHT)
    return plot


def heat_map() -> figure:
    """A heat map with its colour bar: only the upper left of four cells is red."""
    plot = blank_figure(
        width=WIDTH, height=200, sizing_mode="fixed", x_range=Range1d(0.0, 2.0), y_range=Range1d(2.0, 0.0)
    )
    mapper = LinearColorMapper(palette=["#0000ff", RUN], low=-1.0, high=1.0)
    cells = np.array([[1.0, -1.0], [-1.0, -1.0]], np.float32)
    plot.image([cells], x=0.0, y=0.0, dw=2.0, dh=2.0, color_mapper=mapper)
    plot.add_layout(ColorBar(color_mapper=mapper, width=9), "right")
    return plot


def red(pixels: np.ndarray) -> np.ndarray:
    """Where the line is."""
    return (np.abs(pixels.astype(int) - [255, 0, 170]) < 12).all(-1)


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens figures, with one button per kind of picture, on a surface within a differently coloured page."""
    contexts = []

    def open_page(*plots: figure, name: str = "run 7", style: str = "background-color: #182129", **options) -> Page:
        buttons = [Button(label=kind, name=kind) for kind in KINDS]
        for button in buttons:
            button.js_on_click(download(plots, button.label, name))
        html = file_html(column(*buttons, Div(text="between"), *plots), INLINE)
        path = tmp_path / "page.html"
        path.write_text(
            html.replace("<body>", f'<body style="background-color: rgb(255, 255, 0)"><div style="{style}">'), "utf-8"
        )
        contexts.append(browser.new_context(accept_downloads=True, **options))
        page = contexts[-1].new_page()
        page.goto(path.as_uri())
        page.wait_for_function("window.Bokeh?.documents?.[0]?.is_idle")
        return page

    yield open_page
    for context in contexts:
        context.close()


def press(page: Page, kind: str) -> Download:
    with page.expect_download() as coming:
        page.get_by_role("button", name=kind, exact=True).click()
    return coming.value


def pixels(page: Page) -> np.ndarray:
    with Image.open(press(page, "png").path()) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGBA"))


@pytest.mark.browser
@pytest.mark.parametrize("ratio", [1, 3])
def test_png_has_twice_the_pixels_on_any_screen_and_shows_the_figures_below_each_other(opened, ratio: int) -> None:
    page = opened(*map(line_figure, HEIGHTS), device_scale_factor=ratio)
    picture = pixels(page)
    assert picture.shape == (DENSITY * sum(HEIGHTS), DENSITY * WIDTH, 4)
    assert (picture[..., 3] == 255).all()
    rows = np.flatnonzero(red(picture[..., :3]).sum(1) > DENSITY * WIDTH / 2)
    first, second = (set(rows // DENSITY // HEIGHTS[0] == number) for number in (0, 1))
    assert {True, False} == first == second
    widths = np.diff(np.flatnonzero(np.diff(red(picture[..., :3])[:, DENSITY * WIDTH // 2].astype(int))))[::2]
    assert widths == pytest.approx([6 * DENSITY] * 2, abs=1)
    assert page.evaluate("devicePixelRatio") == ratio


@pytest.mark.browser
def test_png_lies_on_the_colour_behind_the_figure(opened) -> None:
    for style, colour in (
        ("background-color: #182129", SURFACE),
        ("background-color: #18212980", (255, 255, 0)),
        ("", (255, 255, 0)),
    ):
        picture = pixels(opened(line_figure(100), style=style))[..., :3].reshape(-1, 3)
        values, counts = np.unique(picture, axis=0, return_counts=True)
        assert tuple(values[counts.argmax()]) == colour
        assert len(values) > 10


@pytest.mark.browser
def test_png_is_what_the_screen_shows(opened) -> None:
    page = opened(line_figure(160), device_scale_factor=DENSITY)
    box = page.evaluate(
        "() => { const b = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name('of 160')).el.getBoundingClientRect();"
        " return {x: b.x, y: b.y, width: b.width, height: b.height} }"
    )
    path = Path(str(press(page, "png").path()))
    screen = page.screenshot(clip=box)
    shot = path.with_suffix(".screen.png")
    shot.write_bytes(screen)
    with Image.open(path) as saved, Image.open(shot) as seen:
        saved_pixels, seen_pixels = (np.asarray(image.convert("RGB")).astype(int) for image in (saved, seen))
    assert saved_pixels.shape == seen_pixels.shape
    assert (np.abs(saved_pixels - seen_pixels).max(-1) < 12).mean() > 0.995


@pytest.mark.browser
def test_svg_holds_lines_and_text_as_such_on_an_opaque_ground(opened) -> None:
    root = ET.parse(press(opened(*map(line_figure, HEIGHTS)), "svg").path()).getroot()
    assert root.tag == f"{SVG}svg"
    assert root.get("viewBox") == f"0 0 {WIDTH} {sum(HEIGHTS)}"
    ground = root[0]
    assert (ground.tag, ground.get("fill"), ground.get("width")) == (f"{SVG}rect", "rgb(24, 33, 41)", str(WIDTH))
    assert [group.get("transform") for group in root[1:]] == ["translate(0, 0)", f"translate(0, {HEIGHTS[0]})"]
    for group in root[1:]:
        lines = [path for path in group.iter(f"{SVG}path") if path.get("stroke", "").lower() == RUN]
        assert [line.get("stroke-width") for line in lines] == ["6"]
        assert len(re.findall("[ML]", lines[0].get("d", ""))) == 2
        assert "time (µs) < & >" in [text.text for text in group.iter(f"{SVG}text")]
    assert list(root.iter(f"{SVG}image")) == []
    clips = [clip.get("id") for clip in root.iter(f"{SVG}clipPath")]
    assert len(clips) == len(set(clips)) > 0


@pytest.mark.browser
def test_svg_painted_again_looks_like_the_png(opened) -> None:
    page = opened(*map(line_figure, HEIGHTS))
    shown = pixels(page)[..., :3].astype(int)
    path = Path(str(press(page, "svg").path()))
    drawn = page.context.browser.new_page(
        device_scale_factor=DENSITY, viewport={"width": WIDTH, "height": sum(HEIGHTS)}
    )
    drawn.set_content(f"<body style='margin:0'>{path.read_text('utf-8')}")
    shot = path.with_suffix(".shot.png")
    shot.write_bytes(drawn.screenshot())
    drawn.close()
    with Image.open(shot) as image:
        again = np.asarray(image.convert("RGB")).astype(int)
    assert again.shape == shown.shape
    assert (np.abs(again - shown).max(-1) < 40).mean() > 0.98
    assert red(again).sum() == pytest.approx(red(shown).sum(), rel=0.05)


@pytest.mark.browser
def test_a_heat_map_keeps_its_corners_in_both_kinds(opened) -> None:
    page = opened(heat_map())
    places = np.argwhere(red(pixels(page)[..., :3])[:, : DENSITY * (WIDTH - 60)])
    assert len(places) > 1000
    assert (places.max(0) < DENSITY * np.array([110, 150])).all()
    root = ET.parse(press(page, "svg").path()).getroot()
    assert len(list(root.iter(f"{SVG}path"))) > 4
    assert all(image.get("href", "").startswith("data:image/png") for image in root.iter(f"{SVG}image"))
    assert len(list(root.iter(f"{SVG}image"))) == 2


@pytest.mark.browser
def test_the_file_has_the_name(opened) -> None:
    page = opened(line_figure(60), name="sign, trial 1,234 – µS")
    for kind in KINDS:
        assert press(page, kind).suggested_filename == f"sign, trial 1,234 – µS.{kind}"


@pytest.mark.browser
def test_figures_that_are_hidden_are_left_out_and_none_at_all_is_said(opened) -> None:
    page = opened(*map(line_figure, HEIGHTS))
    hide = "height => { Bokeh.documents[0].get_model_by_name(`of ${height}`).visible = false }"
    hidden = "height => Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name(`of ${height}`)).bbox.width === 0"
    page.evaluate(hide, HEIGHTS[0])
    page.wait_for_function(hidden, arg=HEIGHTS[0])
    assert pixels(page).shape[0] == DENSITY * HEIGHTS[1]
    page.evaluate(hide, HEIGHTS[1])
    page.wait_for_function(hidden, arg=HEIGHTS[1])
    with page.expect_event("pageerror") as error:
        page.get_by_role("button", name="png", exact=True).click()
    assert "picture: none of the figures is on the page" in str(error.value)


BAD = {
    "kind": (1, "gif", "run", "picture.kind: must be one of png, svg, got 'gif'"),
    "figures": (0, "png", "run", "picture.figures: must be at least one figure, got 0"),
    "empty": (1, "png", "", "picture.name: must be 1 to 100 printable characters without"),
    "long": (1, "png", "x" * 101, "picture.name: must be 1 to 100 printable characters without"),
    "folder": (1, "png", "a/b", "picture.name: must be 1 to 100 .*, got 'a/b'"),
    "line": (1, "png", "a\nb", r"picture.name: must be 1 to 100 .*, got 'a\\nb'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_nonsense_is_refused(case: str) -> None:
    number, kind, name, text = BAD[case]
    with pytest.raises(FieldError, match=f"^{text}"):
        download([figure()] * number, kind, name)
