"""A page's run on a chip behind a server: the library's numbers, and words for a connection that is lost."""

from __future__ import annotations

import functools
from operator import methodcaller

import numpy as np
import pytest
from app_kit import until

from app.chips import CONNECTED, LOST, ChipPlace
from app.serve import serve
from app.trainer import RESET_AGAIN
from app.views import status
from app.views.meters import HELD_BY_CHIP, words
from app.worker import Worker
from pcmsim import energy
from pcmsim.errors import PCMLabError
from training.chip.remote import RemoteChip
from training.chip.server import ChipServer
from training.chip.simulated import SimulatedChip
from training.config import RunConfig
from training.session import Session

TOKEN = "a-token-of-the-tests"
CONFIG = RunConfig().with_values({
    "core.enabled": True, "network.hidden": 16, "task": {"name": "pattern", "inputs": 12, "duration": 0.05},
})  # fmt: skip

RATES = ("learning.lr_input", "learning.lr_recurrent", "learning.lr_output")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setenv("PCMLAB_CHIP_TOKEN", TOKEN)
    monkeypatch.setattr("training.chip.serving.RemoteChip", functools.partial(RemoteChip, patience=0.2))


def test_a_lost_chip_is_told_and_waited_for_and_nothing_is_lost():
    chip = SimulatedChip(CONFIG)
    server = ChipServer(chip, TOKEN)
    server.__enter__()
    place, port = ChipPlace(server.address), int(server.address.rpartition(":")[2])
    worker = Worker(CONFIG, place=place)
    try:
        until(lambda: worker.latest.record is not None)
        assert status.columns(worker.latest)["chip"] == CONNECTED.format(place.address)
        server.__exit__(None, None, None)
        worker.step()
        until(lambda: worker.latest.chip == LOST.format(place.address))
        assert "the run waits for it" in worker.notices.pop()
        with ChipServer(chip, TOKEN, port=port):
            until(lambda: worker.latest.record.trial == 1)
            assert worker.latest.chip == CONNECTED.format(place.address)
            assert worker.notices.pop() == "the chip is back; the run goes on"
            worker.step()
            until(lambda: worker.latest.record.trial == 2)
        alone = Session(CONFIG)
        losses = [record.loss for record in alone.run(3)]
        assert worker.latest.record.loss == losses[-1]
        ledgers = [array.ledger for array in alone.arrays]
        right, found = energy.budget(ledgers, CONFIG.device.model(None).costs, 3), worker.latest.look.budget
        assert (found.sets, found.resets, found.reads) == (right.sets, right.resets, right.reads)
        assert found.energy == pytest.approx(right.energy, rel=0.05)  # at the present conductances
        said = words(worker.latest.look.meters, CONFIG, on_chip=True)
        assert said["write_noise"] == said["cores"] == HELD_BY_CHIP
        assert "spread" in said["read_noise"]
    finally:
        worker.stop(timeout=20.0)


def test_without_a_chip_nothing_is_said_of_one():
    worker = Worker(CONFIG)
    until(lambda: worker.latest.record is not None)
    assert "chip" not in status.columns(worker.latest)
    worker.stop(timeout=20.0)


def test_a_run_that_does_not_fit_the_chip_is_refused_and_the_old_one_lives_on():
    with ChipServer(SimulatedChip(CONFIG), TOKEN) as server:
        worker = Worker(CONFIG, place=ChipPlace(server.address))
        until(lambda: worker.latest.record is not None)
        worker.reset(CONFIG.with_values({"network.hidden": 20}), 1)
        until(lambda: worker.notices)
        assert "of the chip's shape" in worker.notices.pop()
        worker.step()
        until(lambda: worker.latest.record.trial == 1)
        worker.stop(timeout=20.0)


def test_a_run_that_another_has_left_on_a_chip_is_told_of_and_written_over_when_asked_again():
    chip, config = SimulatedChip(CONFIG), CONFIG.with_values(dict.fromkeys(RATES, 2e-2))
    list(Session(config, chip).run(2))
    programs = chip.info().number
    with ChipServer(chip, TOKEN) as server:
        worker = Worker(CONFIG, place=ChipPlace(server.address))
        until(lambda: worker.notices)
        said = worker.notices.pop()
        assert f"another run has written to it ({programs} programs)" in said
        assert said.endswith(RESET_AGAIN)
        assert worker.latest.record is None
        assert chip.info().number == programs
        worker.reset(config, 1)
        until(lambda: worker.latest.record is not None)
        assert chip.info().number > programs > 0
        worker.stop(timeout=20.0)


def test_on_a_chip_a_comparison_of_gradients_is_refused_in_words_each_time_and_the_run_goes_on():
    with ChipServer(SimulatedChip(CONFIG), TOKEN) as server:
        worker = Worker(CONFIG, place=ChipPlace(server.address))
        until(lambda: worker.latest.record is not None)
        for _ in range(2):
            with pytest.raises(PCMLabError, match="those on a chip cannot be copied"):
                worker.ask(methodcaller("compare_gradients")).result(20.0)
        worker.step()
        until(lambda: worker.latest.record.trial == 1)
        worker.stop(timeout=20.0)


def test_a_server_whose_chip_does_not_answer_says_so_at_once():
    with pytest.raises(PCMLabError, match="does not answer"):
        serve(port=0, open_browser=False, chip="localhost:9")


def test_the_drift_of_devices_on_a_chip_is_followed_where_the_same_devices_here_are():
    with ChipServer(SimulatedChip(CONFIG), TOKEN) as server:
        there, here = Worker(CONFIG, place=ChipPlace(server.address)), Worker(CONFIG)
        tables = []
        for worker in (there, here):
            until(lambda worker=worker: worker.latest.snapshot is not None)
            for trial in (1, 2):
                worker.step()
                until(lambda worker=worker, trial=trial: worker.latest.snapshot_of == (1, trial, 0))
            tables.append(worker.latest.drift.table())
            worker.stop(timeout=20.0)
    assert tables[0].shape == (3, 65)
    assert np.ptp(tables[0][:, 1:], axis=0).any()
    np.testing.assert_array_equal(*tables)
