"""Learn the tones that the target's infrared sensor gives to colors, from pseudo labels."""

import logging
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import DataLoader

from dscreid.distributed import from_main_process
from dscreid.engine.extraction import extract_rows
from dscreid.errors import LabelingError
from dscreid.models.reid import BaseReID
from dscreid.models.tones import (
    ToneSettings,
    choose_palette,
    color_cells,
    explained_share,
    fit_tones,
    paired_cells,
    tone_cells,
    tone_table,
)
from dscreid.structures import Modality, PseudoLabels

#: Visible tracklets, and pixels of each, from which the reference colors are chosen.
_TRACKLETS, _PIXELS = 500, 200
#: On rendered worlds, colors explained 17 to 31 % with such a rule, and 8 % without one.
_DOUBTFUL = 0.12


class ToneLearner:
    """Colors and tones of all training tracklets, read once, from which a rule is learned for any labels.

    Args:
        model: Model whose preprocessor reads the frames.
        dataloader: Loader of all training tracklets.
        settings: Settings of the rule.
    """

    def __init__(self, model: BaseReID, dataloader: DataLoader, settings: ToneSettings) -> None:
        dataset: Any = dataloader.dataset
        rows = {modality: dataset.indices(modality) for modality in Modality}
        pixels = from_main_process(lambda: _some_pixels(dataset, rows[Modality.RGB]))
        self._settings, self._palette = settings, choose_palette(pixels, settings.colors)
        preprocessor: Any = model.data_preprocessor

        def cells(inputs: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
            frames = preprocessor.denormalize(inputs)
            return color_cells(frames, self._palette, settings.grid), tone_cells(frames, settings.grid)

        colors, tones = extract_rows(model, dataloader, cells, 'colors and tones')
        self._colors = colors[torch.from_numpy(rows[Modality.RGB])]
        self._tones = tones[torch.from_numpy(rows[Modality.IR])]

    def table(self, labels: PseudoLabels) -> Tensor:
        """Learn the rule from the clusters with members of both modalities; see ``tone_table`` for the result.

        Raises:
            LabelingError: If there is no such cluster.
        """
        return from_main_process(lambda: self._table(labels))

    def _table(self, labels: PseudoLabels) -> Tensor:
        colors, tones, pairs = paired_cells(self._colors, self._tones, labels.rgb, labels.ir)
        if not len(pairs):
            raise LabelingError(
                'no cluster has visible and infrared members, so nothing shows which tones the infrared sensor gives '
                'to colors; lower pooled.min_share or inter.min_votes, or set model.data_preprocessor.tones=None'
            )
        rule = fit_tones(colors, tones, self._settings.shrinkage)
        share = explained_share(self._tones, labels.ir, colors @ rule.tones, pairs, rule.trust)
        doubtful = share < _DOUBTFUL
        print_log(
            f'infrared tones of colors: learned from {len(pairs)} pairs of clusters; colors explain '
            f'{share:.0%} of how the tones of tracklets differ'
            + doubtful
            * ', which is little: this sensor may follow no rule that people share; compare with DSC',
            logger='current',
            level=logging.WARNING if doubtful else logging.INFO,
        )
        return tone_table(self._palette, rule.tones)


def _some_pixels(dataset: Any, rows: np.ndarray) -> np.ndarray:
    """Choose pixels of visible tracklets, evenly over the dataset: float64 (N, 3), RGB in [0, 1]."""
    rng = np.random.default_rng(0)
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _TRACKLETS)).astype(int))]
    found = []
    for row in chosen.tolist():
        pixels = dataset[row]['inputs'].movedim(1, -1).reshape(-1, 3).numpy()
        found.append(pixels[rng.integers(len(pixels), size=_PIXELS)])
    return np.concatenate(found) / 255
