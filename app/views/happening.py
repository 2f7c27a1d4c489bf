"""What is happening, in one or two sentences."""

from __future__ import annotations

from html import escape

import numpy as np

from app.history import SMOOTHING, Table
from app.shot import Shot
from training import rules
from training.meters import Meters
from training.rules import Finding, Situation

MOST = 2
"""Findings that are said at once."""


def findings(shot: Shot) -> list[Finding]:
    """What the rules find, most pressing first."""
    table = shot.curve.columns()
    meters = Meters() if shot.look is None else shot.look.meters
    loss, trials = float(table["smooth"][-1]), int(table["trial"][-1]) + 1
    silence = float(table["baseline"][-1])
    situation = Situation(shot.record, meters, shot.config, loss, trials, silence, _best(table))
    return rules.findings(situation)[:MOST]


def html(shot: Shot) -> str:
    """The sentences; read out by screen readers when they change."""
    if shot.record is None or not len(shot.curve.columns()["trial"]):
        return '<div role="status"><p>The first trial is under way.</p></div>'
    alarm = " alarm" if shot.record.status != "ok" else ""
    said = "".join(_paragraph(finding, first=place == 0) for place, finding in enumerate(findings(shot)))
    return f'<div class="happening{alarm}" role="status" tabindex="0">{said}</div>'


def _best(table: Table) -> float:
    """The lowest smoothed error; a curve's first points, means of few trials, may be low by luck."""
    smooth = table["smooth"][table["trial"] >= table["trial"][0] + SMOOTHING]
    return float(smooth.min(where=np.isfinite(smooth), initial=np.inf))


def _paragraph(finding: Finding, first: bool) -> str:
    """How far learning is stands without advice where something else comes first."""
    advice = f" {finding.advice}" if first or finding.severity else ""
    return f'<p data-rule="{escape(finding.name)}">{escape(finding.happened + advice)}</p>'
