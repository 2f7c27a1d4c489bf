"""Races: lanes that meet the same random numbers, and come to what their jobs come to alone."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import psutil
import pytest
import torch

from pcmsim.errors import FieldError, PCMLabError, UnknownNameError
from training import cli, racing
from training.config import RunConfig
from training.jobs import perform
from training.presets import PRESETS
from training.race import EDGES, Entry, LaneReport, Race, Runner, entrants, histogram, schemes
from training.racing import Racing, shares
from training.session import Session
from training.store import Store

SMALL = {
    "network.hidden": 12,
    "network.threshold": 0.02,
    "task": {"name": "pattern", "inputs": 10, "duration": 0.1},
}


def small(*names, **about):
    lanes = {name: config.with_values(SMALL) for name, config in entrants(names).items()}
    return Race(lanes, **{"seeds": (1, 2), "trials": 25, "every": 10, **about})


def timeless(outcome):
    return repr(dataclasses.replace(outcome, seconds=0.0))


def test_every_scheme_with_tuned_settings_has_a_lane_of_its_own():
    lanes = entrants()
    assert list(lanes) == [name for name in schemes() if f"pattern-{name}" in PRESETS]
    assert len(lanes) == 5
    assert all(type(lanes[name].scheme) is type(PRESETS[name].config.scheme) for name in lanes)
    assert not any(config.scheme.digital for config in lanes.values())


def test_all_lanes_meet_the_same_samples_in_the_same_order():
    sessions = [Session(config.with_values({"seed": 5})) for config in entrants().values()]
    for trial in range(4):
        first, *others = [session.sampler.sample(trial) for session in sessions]
        for other in others:
            assert other.index == first.index
            assert np.array_equal(other.inputs.neuron, first.inputs.neuron)
            assert np.array_equal(other.target, first.target)


def test_lanes_that_differ_in_their_scheme_alone_begin_from_the_same_devices():
    base = PRESETS["mixed-precision"].config.with_values({**SMALL, "seed": 5})
    sessions = [
        Session(base.with_values({"scheme": name})) for name in ("mixed-precision", "stochastic", "update-ready")
    ]
    first, *others = sessions
    for other in others:
        assert torch.equal(other.feedback, first.feedback)
        for mine, theirs in zip(first.arrays, other.arrays, strict=True):
            assert torch.equal(mine.stored_weights(), theirs.stored_weights())
        records = first.fork().step(), other.fork().step()
        assert np.array_equal(records[0].output, records[1].output)  # the same read noise, too


def test_a_race_runs_inside_an_event_loop_as_in_a_notebook():
    race = small("sign", seeds=(1,))

    async def cell():
        return [report.outcome for report in Racing(race, workers=1) if report.over]

    assert list(map(timeless, asyncio.run(cell()))) == [timeless(perform(job)) for job in race.jobs().values()]


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_a_watched_run_in_turns_comes_to_what_its_job_comes_to(chunk):
    race = small("sign")
    [(entry, job), _] = race.jobs().items()
    runner, reports = Runner(entry, job), []
    while not reports or not reports[-1].over:
        reports.append(runner.advance(chunk))
    expected = perform(job)
    assert timeless(reports[-1].outcome) == timeless(expected)
    assert repr(reports[-1].recent) == repr(expected.curve[-1])
    assert reports[-1].recent.sets > 0 and -1.0 <= reports[-1].cosine <= 1.0
    assert reports[-1].value("loss") == expected.curve[-1].loss
    losses = [record.loss for record in Session(job.config).run(25)]
    assert reports[0].point.loss == pytest.approx(np.mean(losses[:chunk]))
    assert [report.trial for report in reports] == [*range(chunk, 25, chunk), 25]


def test_the_histogram_counts_every_weight_by_its_share_of_the_largest():
    session = Session(small("sign").jobs()[Entry("sign", 1)].config)
    for _ in session.run(5):
        pass
    device = session.config.device
    g_max = device.model(None).g_max
    shares_of = np.concatenate(
        [np.ravel(a.state.conductance.sum(1)[0] - a.state.conductance.sum(1)[1]) / g_max for a in session.arrays]
    )
    counts = histogram(session.arrays)
    assert counts.sum() == shares_of.size == 10 * 12 + 12 * 12 + 12
    assert counts[EDGES[:-1] > 0.1].sum() == (shares_of >= EDGES[EDGES > 0.1][0]).sum() > 0


def test_worker_processes_come_to_what_one_process_comes_to_and_leave_none_behind(tmp_path):
    race, store = small("sign", "mixed-precision"), Store(tmp_path)
    under_way = Racing(race, workers=2, store=store)
    under_way.keep(store, "first")
    reports = list(under_way)
    assert {(r.entry, r.trial) for r in reports} == {(e, t) for e in race.jobs() for t in (10, 20, 25)}
    for entry, job in race.jobs().items():
        assert timeless(under_way.latest[entry].outcome) == timeless(perform(job))
    assert {timeless(o) for o in store.outcomes(race.jobs().values())} == {
        timeless(r.outcome) for r in reports if r.outcome
    }
    assert (store.group("first").kind, store.group("first").keys) == (
        "race",
        tuple(j.key for j in race.jobs().values()),
    )
    assert not racing_processes()
    again = [report.over for report in Racing(race, store=store)]
    assert again == [True] * 4


def test_what_a_killed_worker_had_to_do_is_done_again(tmp_path):
    race, seen = small("sign", "stochastic"), []
    under_way = Racing(race, workers=1)
    for report in under_way:
        seen.append((report.entry, report.trial))
        if len(seen) in (2, 5):
            under_way.pause()
            [process] = racing_processes()
            process.kill()
            under_way.resume()
    assert len(set(seen)) == len(seen) == 12
    for entry, job in race.jobs().items():
        assert timeless(under_way.latest[entry].outcome) == timeless(perform(job))


def test_workers_that_die_again_and_again_end_the_race_with_a_reason():
    under_way = Racing(small("sign", seeds=(1,), trials=10**6), workers=1)
    reports = []
    for report in under_way:
        reports.append(report)
        for process in racing_processes():
            process.kill()
    assert (reports[-1].status, reports[-1].over) == ("failed", True)
    assert "ended 4 times" in reports[-1].message
    assert np.isnan(reports[-1].value("loss"))


def test_a_run_that_cannot_be_made_ends_alone():
    race = small("sign", seeds=(1,))
    broken = dataclasses.replace(race, lanes={**race.lanes, "broken": race.lanes["sign"]})
    under_way = Racing(broken, workers=1)
    [share] = under_way._shares
    share[Entry("broken", 1)] = None
    ends = {report.entry.lane: report for report in under_way if report.over}
    assert ends["broken"].status == "failed" and ends["broken"].message.startswith("AttributeError")
    assert ends["sign"].outcome is not None


def test_a_stopped_race_is_over_at_once_and_a_paused_one_says_nothing():
    under_way = Racing(small("sign", trials=10**6), workers=2)
    for number, _ in enumerate(under_way):
        if number == 4:
            under_way.pause()
            assert not under_way.running
            under_way.resume()
        if number == 8:
            under_way.stop()
    assert not racing_processes()


def test_whatever_ends_the_program_ends_its_processes():
    code = (
        "from training.race import Race, entrants; from training.racing import Racing\n"
        "for report in Racing(Race(entrants(), trials=10**6), workers=2): print('on', flush=True)\n"
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "on\n"
    others = psutil.Process(program.pid).children(recursive=True)
    assert len(others) >= 3
    program.kill()
    _, alive = psutil.wait_procs(others, timeout=20.0)
    assert not alive
    program.communicate()


def test_shares_spread_lanes_and_seeds_over_all_workers():
    race = Race(entrants(), seeds=(1, 2, 3))
    parts = shares(race, race.jobs(), 2)
    assert sorted(map(len, parts)) == [7, 8]
    assert all({entry.lane for entry in part} == set(race.lanes) for part in parts)
    assert len(shares(race, {}, 2)) == 0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Race({}), "Race.lanes: must be at least one"),
        (lambda: small("sign", seeds=(1, 1)), "Race.seeds: must be at least one and at most 1000, each once"),
        (lambda: small("sign", seeds=(-1,)), "RunConfig.seed"),
        (lambda: small("sign", trials=0), "Race.trials"),
        (lambda: small("sign", metric="accuracy"), "Race.metric: must be one of the loss"),
        (lambda: small("sign", metric="held-out-loss"), "Race.judge: must be validation or test"),
        (lambda: small("sign", metric="speed"), "unknown metric 'speed'"),
        (lambda: small("sign", judge="jury"), "Job.judge"),
        (lambda: Race(entrants(["sign", "digits"])), "Race.lanes: must be of one task and time step, those of sign"),
        (lambda: entrants(["sign", "sign"]), "lanes: must be of different names"),
        (lambda: entrants(["sgn"]), "unknown preset 'sgn'.*did you mean 'sign'"),
        (lambda: entrants(["sign"], "mnist"), "unknown tuned preset 'mnist-sign'"),
    ],
)
def test_what_makes_no_race_is_named(make, text):
    with pytest.raises((FieldError, UnknownNameError, PCMLabError), match=text):
        make()


def test_files_are_lanes_by_the_name_of_the_file(tmp_path):
    (tmp_path / "mine.yaml").write_text(RunConfig().with_values({"learning.lr_input": 1e-5}).to_yaml())
    assert entrants([str(tmp_path / "mine.yaml")])["mine"].learning.lr_input == 1e-5


COMMAND = ["race", "sign", "update-ready", "--trials", "8", "--every", "4", "--quiet"]
COMMAND += [part for name, value in SMALL.items() for part in ("--set", f"{name}={json.dumps(value)}")]


def test_the_command_prints_and_writes_the_ranking(tmp_path, capsys):
    out = tmp_path / "ranking.csv"
    code = cli.main([*COMMAND, "--seeds", "4,6", "--store", str(tmp_path / "runs"), "--name", "r", "--out", str(out)])
    assert code == 0
    head, *table, caution = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["place", "lane", "loss"] and "6 seeds" in caution
    assert {line.split()[1] for line in table} == {"sign", "update-ready"}
    store = Store(tmp_path / "runs")
    rows = store.runs(store.group("r").keys).groupby("scheme")["loss"].mean()
    lines = [line.split(",") for line in out.read_text().splitlines()[1:]]
    assert {lane: float(mean) for _, lane, mean, *_ in lines} == pytest.approx(rows.to_dict())


def test_an_interruption_leaves_what_is_finished(tmp_path, capsys, monkeypatch):
    def interrupted(self, report):
        if report.over:
            raise KeyboardInterrupt
        return report

    monkeypatch.setattr(Racing, "_noted", interrupted)
    assert cli.main([*COMMAND, "--workers", "1", "--store", str(tmp_path)]) == 130
    assert len(Store(tmp_path).keys()) == 1
    assert "–  update-ready" in capsys.readouterr().out  # not begun, or not done: no place
    assert not racing_processes()


@pytest.mark.parametrize(
    "wrong", [["--seeds", "some"], ["--seeds", "0"], ["--metric", "speed"], ["sgn"], ["--out", "a.xls"]]
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch, wrong):
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(["race", *wrong])
    except SystemExit as stop:
        code = stop.code
    assert code == 2 and capsys.readouterr().err.count("\n") == 1
    assert not os.listdir(tmp_path)


def racing_processes():
    children = [p for p in racing.PROCESSES.active_children() if p.name == racing.NAME and p.is_alive()]
    return [psutil.Process(p.pid) for p in children]


def test_a_report_knows_how_far_it_is():
    assert not LaneReport(Entry("sign", 1)).over
    assert np.isnan(LaneReport(Entry("sign", 1)).value("loss"))
