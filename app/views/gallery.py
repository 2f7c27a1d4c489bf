"""Examples: what the latest samples show, their spikes, and what the network took them for."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.exam import Example, Scores
from training.spikes import Spikes, times

HIGH, WIDE = 32, 48
"""Pixels of a picture of spikes, at most."""

STYLE = """
.gallery { display: grid; gap: 4px; padding: 2px 12px; height: 100%; align-content: start }
.gallery h3 { font-size: calc(12px * var(--text, 1)); font-weight: 500; margin: 2px 0;
  color: var(--panel-on-secondary-color) }
.gallery > div { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 8px }
.gallery figure { margin: 0; text-align: center }
.gallery .ink { display: block; width: 100%; aspect-ratio: 1; background: var(--panel-on-surface-color);
  -webkit-mask-size: 100% 100%; mask-size: 100% 100%; image-rendering: pixelated; mask-mode: alpha }
.gallery .spikes { aspect-ratio: 3 / 2; opacity: .75; margin-top: 2px; border-bottom: 1px solid var(--line) }
.gallery figcaption { font-size: calc(12.5px * var(--text, 1)); font-variant-numeric: tabular-nums; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis }
.gallery .right figcaption { color: var(--run) } .gallery .wrong figcaption { color: var(--minus) }
"""


def html(scores: Scores) -> str:
    """Two rows: the latest trials, and the latest mistakes.

    Parameters
    ----------
    scores : Scores
        What the classifier gets right.
    """
    mistakes = _row(scores, scores.mistakes) or "<p>none yet</p>"
    return (
        f'<div class="gallery"><h3>Latest trials: right class → answer</h3><div>{_row(scores, scores.latest)}</div>'
        f"<h3>Latest mistakes</h3><div>{mistakes}</div></div>"
    )


def ink(image: npt.NDArray[np.floating]) -> str:
    """Address of a picture whose opacity is the image: drawn in the page's own colour of text.

    Parameters
    ----------
    image : numpy.ndarray
        ``height, width`` from 0 to 1.
    """
    alpha = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    picture = io.BytesIO()
    Image.fromarray(np.dstack((np.zeros_like(alpha), alpha)), "LA").save(picture, "PNG")
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


def spikes_image(spikes: Spikes, channels: int) -> npt.NDArray[np.float64]:
    """Spikes as an image, the first channel at the bottom: 1 where there is one.

    Parameters
    ----------
    spikes : Spikes
        The events.
    channels : int
        How many channels there are.
    """
    rows, across = min(channels, HIGH), min(spikes.steps, WIDE)
    image = np.zeros((rows, across))
    image[spikes.neuron.astype(np.int64) * rows // channels, times(spikes) * across // spikes.steps] = 1.0
    return image[::-1]


def _row(scores: Scores, examples: Sequence[Example]) -> str:
    return "".join(_figure(scores, example) for example in examples)


def _figure(scores: Scores, example: Example) -> str:
    right = example.label == example.decision
    caption = f"{escape(scores.names[example.label])} → {escape(scores.names[example.decision])}"
    image = "" if example.image is None else _ink(example.image, "ink")
    spikes = _ink(spikes_image(example.inputs, scores.channels), "ink spikes")
    opening = f'<figure class="{"right" if right else "wrong"}" title="trial {example.trial}">'
    return f"{opening}{image}{spikes}<figcaption>{caption}</figcaption></figure>"


def _ink(image: npt.NDArray[np.floating], classes: str) -> str:
    address = ink(image)
    return f'<span class="{classes}" style="-webkit-mask-image: url({address}); mask-image: url({address})"></span>'
