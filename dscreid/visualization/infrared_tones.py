"""Pictures of visible frames in the infrared tones that an adaptation learned, next to real infrared frames."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from dscreid.visualization.figures import add_note, show_image, styled


class ToneExample(NamedTuple):
    """A column of the picture: three frames, uint8 (H, W, 3) each, in RGB order."""

    title: str
    visible: np.ndarray  #: what the visible camera saw
    translated: np.ndarray  #: the same in the learned tones
    infrared: np.ndarray  #: what an infrared camera saw


@styled()
def draw_infrared_tones(examples: Sequence[ToneExample], note: str = '') -> Figure:
    """Draw the frames of examples below each other: visible, in learned tones, infrared."""
    rows = ('visible', 'visible, in\ninfrared tones', 'infrared')
    height, width = examples[0].visible.shape[:2]
    cell = 1.75 * width / height
    figure = Figure(figsize=(max(1.2 + len(examples) * (cell + 0.12), 4.5), 3 * 1.9 + 0.4 + (0.3 if note else 0)))
    axes = figure.subplots(3, len(examples), squeeze=False)
    for column, (title, *frames) in enumerate(examples):
        axes[0, column].set_title(title, fontsize=10)
        for row, frame in enumerate(frames):
            show_image(axes[row, column], frame)
    for row, name in enumerate(rows):
        axes[row, 0].set_ylabel(name, fontsize=10)
    add_note(figure, note)
    return figure
