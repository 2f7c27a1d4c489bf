"""The ranking of a race as a table: places, means with intervals, each lane with its link to Live."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from app import lanes
from app.racer import Heat
from training.jobs import METRICS
from training.race import FAILED, Race
from training.race_command import caution
from training.ranking import Standing

WIDE, HIGH = 110.0, 16.0
"""Size of the picture of an interval [px]."""


def html(heat: Heat, addresses: Mapping[str, str]) -> str:
    """The table.

    Parameters
    ----------
    heat : Heat
        The race.
    addresses : mapping of str to str
        Where each lane opens in Live.

    Returns
    -------
    str
        HTML; names are escaped.
    """
    if heat.race is None:
        return "<p class=caution>Choose lanes, then press Start.</p>"
    race = heat.race
    places, span = lanes.places(race), extent(heat.standings)
    known = {one.lane: one for one in heat.standings}
    order = [*known, *(lane for lane in race.lanes if lane not in known)]
    rows = "".join(
        _row(_name(lane, places[lane], addresses[lane]), places[lane], known.get(lane), span) for lane in order
    )
    head = "".join(
        f"<th scope=col class={kind}>{name}</th>"
        for kind, name in (
            ("place", "place"), ("lane", "lane"), ("number", _measured(race)), ("span", "95 % interval"),
            ("number", "SD"), ("number", "n"),
        )
    )  # fmt: skip
    few = min((one.number for one in heat.standings), default=len(race.seeds))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{_troubles(heat)}" + (
        f"<p class=caution>{caution(len(race.lanes), few)}</p>"
    )


def extent(standings: tuple[Standing, ...]) -> tuple[float, float]:
    """From the lowest end of an interval to the highest; a lane that has run away is cut off."""
    known = [one for one in standings if one.number]
    if not known:
        return 0.0, 1.0
    low, middle = min(one.low for one in known), sorted(one.high for one in known)[(len(known) - 1) // 2]
    high = min(max(one.high for one in known), low + 3.0 * max(middle - low, 1e-12))
    return low, max(high, low + 1e-12)


def _name(lane: str, place: int, address: str) -> str:
    title, swatch = escape(lanes.titles([lane])[lane]), f'<i class="swatch lane{place}"></i>'
    if not address:
        return swatch + title
    return f'{swatch}<a href="{escape(address)}" target="_blank" title="Open in Live">{title}</a>'


def _row(name: str, place: int, one: Standing | None, span: tuple[float, float]) -> str:
    cells = ["–", "–", "", "–", "0"]
    if one is not None and one.number:
        cells = [str(one.place), _number(one.mean), picture(one, span, place), _number(one.sd, 2), str(one.number)]
    at, mean, interval, sd, number = cells
    return (
        f"<tr><td class=place>{at}</td><th scope=row class=lane>{name}</th><td class=number>{mean}</td>"
        f"<td class=span>{interval}</td><td class=number>{sd}</td><td class=number>{number}</td></tr>"
    )


def picture(one: Standing, span: tuple[float, float], place: int) -> str:
    """The interval as a bar with the mean on it; what lies beyond the end is cut off."""
    low, middle, high = (_across(value, span) for value in (one.low, one.mean, one.high))
    text = f"{_number(one.low)} to {_number(one.high)}"
    return (
        f'<svg class="interval" width="{WIDE:.0f}" height="{HIGH:.0f}" role="img" aria-label="{text}">'
        f"<title>{text}</title>"
        f'<line class="lane{place}" x1="{low:.1f}" x2="{max(high, low + 1.0):.1f}" y1="8" y2="8"/>'
        f'<circle class="lane{place}" cx="{middle:.1f}" cy="8" r="4"/></svg>'
    )


def _across(value: float, span: tuple[float, float]) -> float:
    share = (value - span[0]) / (span[1] - span[0])
    return 6.0 + (WIDE - 12.0) * min(max(share, 0.0), 1.0)


def _number(value: float, digits: int = 3) -> str:
    return "–" if not math.isfinite(value) else f"{float(f'{value:.{digits}g}'):g}"


def _measured(race: Race) -> str:
    better = {"minimize": "↓", "maximize": "↑"}[METRICS[race.metric].direction]
    return f"{race.metric} {better}"


def _troubles(heat: Heat) -> str:
    """What runs that could not be finished, or ended badly, have to say; one sentence per lane."""
    said = {}
    for entry, report in tuple(heat.reports.items()):
        if report.status in (FAILED, "diverged", "silent", "saturated") and report.message:
            said.setdefault(entry.lane, f"seed {entry.seed}: {report.message}")
    names = lanes.titles(list(said))
    lines = (f"<li><b>{escape(names[lane])}</b>, {escape(text)}</li>" for lane, text in said.items())
    return f"<ul class=troubles>{''.join(lines)}</ul>" if said else ""
