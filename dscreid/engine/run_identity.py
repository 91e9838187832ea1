"""Record in a checkpoint which run wrote it, so that only the same run can resume from it."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import load_weights, meta_of
from dscreid.utils.config_difference import setting_differences

#: Keys of a checkpoint's ``meta``: the settings that affect what is learned, as JSON, and the source weights.
SETTINGS_KEY, SOURCE_KEY = 'settings', 'source'
EPOCHS = 'train_cfg.max_epochs'
#: May change: how kernels compute, and the policy, so that a run stopped by an unreadable frame can resume.
#: ``check_same_data`` detects left out tracklets.
_TOLERANCE = re.compile(r'randomness\.deterministic|(.*\.)?on_bad_frame')
#: May also change together with the number of epochs: the ends of schedules.
_SCHEDULE = re.compile(rf'{re.escape(EPOCHS)}|param_scheduler(\.\d+)?\.(end|T_max)|{_TOLERANCE.pattern}')
_SHOWN, _LONGEST = 6, 40
#: Advice, for error messages, on how to run with other settings.
ANOTHER_RUN = (
    'choose a --work-dir in another folder (source stages are next to it), or start a new run from these weights with '
    '--source-checkpoint'
)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as JSON, as recorded in checkpoints; values that JSON does not support become strings."""
    return json.dumps(settings, sort_keys=True, default=str)


def recorded_settings(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the settings recorded in a checkpoint's ``meta``; None if it records none."""
    try:
        settings = json.loads(meta[SETTINGS_KEY])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else None


def check_same_run(
    path: Path, content: Mapping[str, Any], settings: Mapping[str, Any], source: str | Path | None
) -> None:
    """Check that a run resumes the checkpoint in ``path`` with the same settings and source weights, if given.

    Only ``train_cfg.max_epochs`` and with it the ends of the schedules may change.

    Raises:
        CheckpointError: If settings or source weights differ, or fewer epochs are requested than were trained.
    """
    meta = meta_of(content)
    changed = changed_settings(meta, settings)
    may_change = _SCHEDULE if EPOCHS in changed else _TOLERANCE
    if differences := sorted(key for key in changed if not may_change.fullmatch(key)):
        shown = [f'{key}: {" -> ".join(map(_short, changed[key]))}' for key in differences]
        more = [f'and {len(shown) - _SHOWN} more'] if len(shown) > _SHOWN else []
        raise CheckpointError(
            f'{path}: cannot be resumed with other settings ({", ".join(shown[:_SHOWN] + more)}); use the settings of '
            f'the run, {ANOTHER_RUN}'
        )
    trained, asked = meta.get('epoch'), (settings.get('train_cfg') or {}).get('max_epochs')
    if isinstance(trained, int) and isinstance(asked, int) and asked < trained:
        raise CheckpointError(
            f'{path}: was trained for {trained} epochs, but {EPOCHS}={asked} asks for fewer; ask for at least {trained}'
        )
    began = meta.get(SOURCE_KEY)
    if source is not None and isinstance(began, str) and weights_fingerprint(source) != began:
        raise CheckpointError(
            f'{path}: its run started from other source weights than {source}, which a resumed run would ignore; '
            'remove --source-checkpoint, or choose another --work-dir'
        )


def check_same_data(path: Path, content: Mapping[str, Any], dataset: Any) -> None:
    """Raise a CheckpointError if a run's dataset, its split or its index differs from those it started with."""
    began, now = meta_of(content).get('dataset_meta'), getattr(dataset, 'metainfo', None)
    if isinstance(began, Mapping) and isinstance(now, Mapping) and dict(began) != dict(now):
        then, today = (' '.join(map(_short, meta.values())) for meta in (began, now))
        raise CheckpointError(
            f'{path}: cannot be resumed on other tracklets (its run started with {then}, now {today}); use the data of '
            'the run, or choose another --work-dir'
        )


def changed_settings(meta: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, list]:
    """Map the key of each setting that differs from the recorded ones to both values; empty if none are recorded."""
    found = setting_differences(recorded_settings(meta) or settings, json.loads(settings_text(settings)))
    # files of pretrained weights may be elsewhere on another machine
    return {
        key: pair
        for key, pair in found.items()
        if not (key.endswith('.pretrained') and len({Path(str(value)).name for value in pair}) == 1)
    }


def weights_fingerprint(path: str | Path) -> str:
    """Return a fingerprint of the weights in a file: 16 hexadecimal digits, independent of its other content."""
    digest = hashlib.sha256()
    for name, value in sorted(load_weights(path).items()):
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode('utf-8', 'surrogatepass'))
        digest.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}…'
