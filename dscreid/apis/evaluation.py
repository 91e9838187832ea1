"""What an evaluation extracts and measures, and its result: metrics, or the reason why there are none."""

import copy
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.logging import print_log

from dscreid.apis.command_line import format_metrics
from dscreid.datasets.tracklet_dataset import why_not_evaluated
from dscreid.engine.extraction_loader import extraction_loader
from dscreid.registry import DATASETS

_LOOP_KEYS = ('cfg', 'dataloader', 'evaluator')


class Evaluation(dict[str, float]):
    """Metrics in [0, 1] by name, such as ``rgb2ir/mAP``; empty if nothing was measured.

    Attributes:
        checkpoint: The evaluated checkpoint.
        reason: Why nothing was measured, or None.
        features: File with the extracted features, or None.
        tracklets: Description of the extracted tracklets.
    """

    def __init__(
        self,
        metrics: Mapping[str, float],
        checkpoint: str | Path,
        reason: str | None = None,
        features: str | Path | None = None,
        tracklets: str = '',
    ) -> None:
        super().__init__(metrics)
        self.checkpoint, self.reason = checkpoint, reason
        self.features, self.tracklets = features, tracklets

    def __str__(self) -> str:
        """Format for a terminal: the checkpoint, and the metrics in percent or the reason why there are none."""
        lines = [f'checkpoint: {self.checkpoint}']
        if self.features is not None:
            lines.append(f'features: {self.features} ({self.tracklets})')
        lines.append(format_metrics(self) if self.reason is None else f'no evaluation: {self.reason}')
        return '\n'.join(lines)

    def record(self) -> dict[str, Any]:
        """Return the content of a metrics file: the metrics, or ``evaluated: false`` and the reason."""
        return dict(self) if self.reason is None else {'evaluated': False, 'reason': self.reason}


def disable_incomplete_loops(config: Config) -> None:
    """Turn off, in place, validation and test if one of their three keys is None or missing.

    MMEngine's Runner refuses a loop if only some of them are set; here ``val_dataloader=None`` is enough.
    """
    for loop in ('val', 'test'):
        keys = [f'{loop}_{key}' for key in _LOOP_KEYS]
        missing = [key for key in keys if config.get(key) is None]
        if loop == 'val' and 0 < len(missing) < len(keys):
            message = f'no validation: the config has no {", ".join(missing)}'
            print_log(message, logger='current', level=logging.WARNING)
        if missing:
            config.update(dict.fromkeys(keys))


def complete_test_loop(config: Config, protocol: str | None = None) -> str | None:
    """Fill in, in place, the parts of a config's test loop that are None.

    Without a test set, the loader of ClusterHook is used for the tracklets of an unlabeled target. If there is no such
    hook either, ``test_dataloader`` stays None. A given ``protocol`` replaces the config's.

    Returns:
        Why nothing can be measured, as far as the config shows; None if something can.
    """
    config.test_cfg = config.get('test_cfg') or dict(type='TestLoop')
    if config.get('test_dataloader') is None:
        config.test_dataloader = extraction_loader(copy.deepcopy(config))
        config.test_evaluator = dict(type='ReIDMetric', protocol=None)
        return 'the config has no test set (test_dataloader is None)'
    if config.get('test_evaluator') is None:
        config.test_evaluator = dict(type='ReIDMetric', protocol=None)
    if protocol is not None:
        config.test_evaluator.protocol = protocol
    if config.test_evaluator.get('protocol', '') is None:
        return 'the config has no evaluation protocol (test_evaluator is None, or its protocol)'
    return None


def why_no_evaluation(config: Config) -> str | None:
    """Explain why a run of a config will measure nothing; None if it will measure something.

    Raises:
        DscreidError: If the test set cannot be read.
    """
    config = copy.deepcopy(config)
    if (reason := complete_test_loop(config)) is not None:
        return reason
    return why_not_evaluated(DATASETS.build({**config.test_dataloader.dataset, 'pipeline': []}))
