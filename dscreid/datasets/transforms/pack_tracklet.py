"""Convert loaded frames to model inputs."""

from typing import Any

import torch

from dscreid.registry import TRANSFORMS
from dscreid.structures import ReIDDataSample


@TRANSFORMS.register_module()
class PackTracklet:
    """Pack frames and metadata into ``dict(inputs, data_samples)``.

    ``inputs`` is a uint8 tensor (T, 3, H, W) in RGB order, a channels-last view of the frames. ``data_samples`` is a
    ``ReIDDataSample`` with the meta information ``index``, ``same_as`` (the first row with the same frames),
    ``modality``, ``camera``, ``length`` (frames of the whole tracklet), ``seed``, ``position``, ``is_query`` and, only
    if the split has them, ``pid`` (labeled) and ``label`` (labeled train).
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack ``frames`` and the metadata of ``tracklet``; all other entries are dropped."""
        tracklet = results['tracklet']
        facts = {
            'index': int(results['index']),
            'same_as': int(results['same_as']),
            'modality': tracklet.modality.value,
            'camera': int(tracklet.camera),
            'length': len(tracklet),
            'seed': int(results['seed']),
            'position': int(results['position']),
            'is_query': bool(tracklet.is_query),
        }
        if tracklet.pid is not None:
            facts['pid'] = int(tracklet.pid)
        if results['label'] is not None:
            facts['label'] = int(results['label'])
        inputs = torch.from_numpy(results['frames']).permute(0, 3, 1, 2)
        return {'inputs': inputs, 'data_samples': ReIDDataSample(metainfo=facts)}

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
