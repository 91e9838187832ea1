"""Examples of the infrared tones that a model has learned."""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from dscreid import visualization as vis
from dscreid.apis.inference import init_model
from dscreid.errors import ConfigError
from dscreid.structures import Modality, Tracklet


@torch.no_grad()
def tone_examples(
    config: Config, checkpoint: str | Path, *, count: int = 6, seed: int = 0, device: str = 'cpu'
) -> list[vis.ToneExample]:
    """Show persons of a config's test set in visible light, in learned infrared tones, and in infrared.

    Persons and tracklets are drawn with ``seed``. If the test set has no person ids, visible and infrared tracklets are
    drawn independently. If it has fewer than ``count`` persons that both modalities show, all of them are shown.

    Raises:
        DscreidError: If config, checkpoint or a frame cannot be used, or the model has not learned any tones.
    """
    model = init_model(config, checkpoint, device)
    preprocessor = model.data_preprocessor
    if getattr(preprocessor, 'tones', None) is None:
        raise ConfigError(f'{config.filename}: its model learns no infrared tones; use dsc/dsc_tones, or inherit it')
    if not preprocessor.knows_tones:
        raise ConfigError(f'{checkpoint}: has no infrared tones yet; use a checkpoint of a finished epoch')
    dataset = vis.build_test_dataset(config, with_pipeline=True)
    examples = []
    for title, positions in _choose(dataset.tracklets, count, seed):
        visible, infrared = (dataset[position]['inputs'] for position in positions)
        seen = preprocessor.translate(visible[None, :1].to(device) / 255)[0].mul(255).round().byte()
        examples.append(vis.ToneExample(title, _picture(visible), _picture(seen), _picture(infrared)))
    return examples


def _choose(tracklets: list[Tracklet], count: int, seed: int) -> list[tuple[str, list[int]]]:
    """Draw titles, and the positions of a visible and an infrared tracklet."""
    by_side = [{one.pid for one in tracklets if one.modality is modality} for modality in Modality]
    if not all(by_side):
        raise ConfigError('the test set has tracklets of one modality only, so there is nothing to compare')
    rng = np.random.default_rng(seed)
    persons = sorted(set.intersection(*by_side) - {None})
    if not persons:
        return [('unknown', vis.choose_pair(tracklets, None, seed + number)) for number in range(count)]
    chosen = rng.permutation(persons)[:count].tolist()
    return [(f'person {one}', vis.choose_pair(tracklets, one, seed)) for one in chosen]


def _picture(frames: Tensor) -> np.ndarray:
    """Convert the first of uint8 frames (T, 3, H, W) to a picture (H, W, 3)."""
    return frames[0].movedim(0, -1).cpu().numpy()
