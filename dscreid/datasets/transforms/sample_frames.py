"""Sample the frames that represent a tracklet."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

from dscreid.datasets.transforms.frame_sampling import (
    linspace_frames,
    segment_first_frames,
    segment_random_frames,
    sorted_random_frames,
)
from dscreid.errors import ConfigError
from dscreid.registry import TRANSFORMS

Rule = Callable[[int, int, np.random.Generator], np.ndarray]

RULES: dict[str, Rule] = {
    'segment_first': lambda length, num_frames, rng: segment_first_frames(length, num_frames),
    'segment_random': segment_random_frames,
    'linspace': lambda length, num_frames, rng: linspace_frames(length, num_frames),
    'sorted_random': sorted_random_frames,
}


@TRANSFORMS.register_module()
class SampleFrames:
    """Set ``frame_paths`` (T paths) and ``frame_indices`` (int64 (T,)) from ``tracklet``.

    Args:
        num_frames: T, frames per tracklet.
        rule: ``'segment_first'`` (test) and ``'segment_random'`` (train) for HITSZ-VCM, ``'linspace'`` (test) and
            ``'sorted_random'`` (train) for BUPTCampus; see ``frame_sampling``. The random rules draw from ``rng``.

    Raises:
        ConfigError: If the rule is unknown or ``num_frames`` is less than 1.
    """

    common_settings = MappingProxyType({'num_frames': 'num_frames'})

    def __init__(self, num_frames: int = 6, rule: str = 'segment_first') -> None:
        if rule not in RULES:
            raise ConfigError(f'SampleFrames: rule must be one of {", ".join(RULES)}, got {rule!r}')
        if not isinstance(num_frames, int) or num_frames < 1:
            raise ConfigError(f'SampleFrames: num_frames must be a whole number of at least 1, got {num_frames}')
        self.num_frames = num_frames
        self.rule = rule

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the sampled frames to ``results``."""
        frames = results['tracklet'].frames
        chosen = RULES[self.rule](len(frames), self.num_frames, results['rng'])
        results['frame_indices'] = chosen
        results['frame_paths'] = tuple(frames[i] for i in chosen)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_frames={self.num_frames}, rule={self.rule!r})'
