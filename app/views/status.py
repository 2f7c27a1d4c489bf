"""Words about the run: the status strip."""

from __future__ import annotations

from html import escape

from app.shot import Shot

MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86_400.0, 31_557_600.0


def columns(shot: Shot) -> dict[str, str]:
    """The entries of the status strip, in order, by what they are.

    Parameters
    ----------
    shot : Shot
        The run.

    Returns
    -------
    dict of str to str
    """
    record, chip = shot.record, {"chip": shot.chip} if shot.chip else {}
    if record is None:
        return {"state": "starting", **chip, "seed": f"seed {shot.config.seed}"}
    tempo = {}
    if shot.running:
        tempo = {
            "speed": f"{shot.speed:.{0 if shot.speed >= 10 else 1}f} trials/s",
            "pace": f"{shot.speed * shot.config.task.duration:.3g} × real time",
        }
    digital = shot.config.scheme.digital
    now = max(record.device_time, 0.0 if shot.aging is None else shot.aging.device_time)
    return {
        "state": "running" if shot.running else "paused",
        **chip,
        "trial": f"trial {record.trial:,}",
        **tempo,
        **({} if digital else {"device time": f"{duration(now)} of device time"}),
        "rate": f"{record.rate:.1f} Hz per neuron",
        **({"pulses": "digital weights"} if digital else {"pulses": pulses(record.total_sets, record.total_resets)}),
        "seed": f"seed {shot.config.seed}",
        "saved": "not saved" if shot.saved is None else f"saved after trial {shot.saved:,}",
    }


def html(entries: dict[str, str]) -> str:
    """The status strip."""
    spans = [f'<span data-status="{escape(name)}">{escape(text)}</span>' for name, text in entries.items()]
    return f'<div class="strip {escape(entries["state"])}">{"".join(spans)}</div>'


def pulses(sets: int, resets: int) -> str:
    """Counts of programming events."""
    resetting = f", {resets:,} RESET" if resets else ""
    return f"{sets:,} SET{resetting} pulses"


def duration(seconds: float) -> str:
    """A time span in two fitting units.

    Examples
    --------
    >>> duration(38.6), duration(31_300.0), duration(3.2e8)
    ('38.6 s', '8 h 41 min', '10.1 years')
    """
    if seconds < MINUTE:
        return f"{seconds:.3g} s"
    for name, size, small, smaller in (("min", MINUTE, "s", 1.0), ("h", HOUR, "min", MINUTE), ("d", DAY, "h", HOUR)):
        if seconds < {"min": HOUR, "h": DAY, "d": YEAR}[name]:
            whole, rest = divmod(seconds, size)
            return f"{whole:.0f} {name} {rest // smaller:.0f} {small}"
    return f"{seconds / YEAR:.1f} years"
