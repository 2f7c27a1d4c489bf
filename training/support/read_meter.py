"""Which rows of the weight arrays are read while a network runs, and what their devices conduct then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training import spikes
from training.neurons import Floats
from training.spikes import Spikes

Marks = npt.NDArray[np.bool_]


class ReadMeter:
    """Adds up reads: each spike that arrives reads its row of an array once.

    A hidden spike reads its row of output weights at once and that of recurrent weights in the next step; those of
    a trial's last step never arrive there.

    Parameters
    ----------
    rows : sequence of int
        Rows of input, recurrent and output weights.

    Attributes
    ----------
    rows : list of numpy.ndarray
        Reads of each row of each array, int64.
    conductance : numpy.ndarray
        Of each array, the conductance at each read of each device, added up [µS], float64; 0 without devices, and
        where a chip keeps it to itself.
    """

    def __init__(self, rows: Sequence[int]) -> None:
        self.rows = [np.zeros(number, np.int64) for number in rows]
        self.conductance = np.zeros(len(rows))

    def note(
        self, conductance: Sequence[Floats | None], inputs: Spikes, hidden: Spikes, spiked: tuple[Marks, Marks]
    ) -> None:
        """Take down a stretch of a trial, within which no conductance changes.

        Parameters
        ----------
        conductance : sequence of numpy.ndarray or None
            Of each array's rows [µS], as in `training.network.Reading`.
        inputs, hidden : Spikes
            Events of the stretch.
        spiked : tuple of numpy.ndarray
            Which hidden neurons spiked in the step before the stretch, and in its last one.
        """
        fired, (before, last) = spikes.counts(hidden, self.rows[2].size), spiked
        arrived = (spikes.counts(inputs, self.rows[0].size), fired + before - last, fired)
        for place, (present, number) in enumerate(zip(conductance, arrived, strict=True)):
            self.rows[place] += number
            if present is not None:
                self.conductance[place] += number @ present
