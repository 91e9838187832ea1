"""Named sizes of worlds."""

from ...errors import ConfigError
from .spec import LAYOUTS, WorldSpec

_SMALL = {'height': 64, 'width': 32}

# For each preset: values for both layouts, then values for one layout.
PRESETS: dict[str, dict[str, dict]] = {
    # For tests, rendered in seconds.
    'tiny': {
        'common': _SMALL
        | {'train_ids': 8, 'test_ids': 6, 'tracklets': 4, 'test_tracklets': 4, 'cameras': 4}
        | {'min_frames': 12, 'max_frames': 14},
        'bupt': {'auxiliary_ids': 4},
    },
    # For the demo: two CPU cores learn source and target in minutes.
    'demo': {
        'common': _SMALL | {'min_frames': 12, 'max_frames': 12},
        'bupt': {'train_ids': 240, 'test_ids': 60, 'auxiliary_ids': 12, 'tracklets': 8, 'test_tracklets': 8},
        'hitsz': {'train_ids': 150, 'test_ids': 80, 'tracklets': 12, 'test_tracklets': 12},
    },
    # For the short demo: half of the demo's frames.
    'demo-short': {
        'common': _SMALL,
        'bupt': {'train_ids': 160, 'test_ids': 40, 'auxiliary_ids': 8, 'tracklets': 6, 'test_tracklets': 4}
        | {'min_frames': 8, 'max_frames': 8},
        # HITSZ-VCM's loader drops tracklets of fewer than 12 frames
        'hitsz': {'train_ids': 100, 'test_ids': 60, 'tracklets': 12, 'test_tracklets': 4}
        | {'min_frames': 12, 'max_frames': 12},
    },
    # As many identities as the published datasets, frames of the size that the paper's model reads.
    'full': {
        'common': {'min_frames': 24, 'max_frames': 24, 'height': 288, 'width': 144},
        'bupt': {
            'train_ids': 1074,
            'auxiliary_ids': 930,
            'test_ids': 1076,
            'tracklets': 3,
            'test_tracklets': 3,
        },
        'hitsz': {'train_ids': 500, 'test_ids': 427, 'tracklets': 10, 'test_tracklets': 10},
    },
    # Many people, cameras and sensors with few frames each, to train a small tower instead of CLIP.
    'pretrain': {
        'common': _SMALL | {'train_ids': 1600, 'test_ids': 60, 'tracklets': 12, 'test_tracklets': 6},
        'bupt': {'min_frames': 2, 'max_frames': 2},
        'hitsz': {'min_frames': 12, 'max_frames': 12},
    },
}
_DEFAULT_DOMAIN = {'pretrain': 'varied'}


def make_spec(preset: str, layout: str, domain: str | None = None, **overrides) -> WorldSpec:
    """Return the spec of a preset.

    Args:
        preset: 'tiny', 'demo', 'demo-short', 'full' or 'pretrain'.
        layout: 'hitsz' or 'bupt'.
        domain: 'bupt', 'hitsz', 'varied' or 'everyday'. Default: the layout's own domain, or 'varied' for 'pretrain'.
        **overrides: Any other field of ``WorldSpec``. None keeps the preset's value.

    Raises:
        ConfigError: If a name is unknown or a value is out of range.
    """
    if preset not in PRESETS:
        raise ConfigError(f'Unknown preset {preset!r}: choose one of {", ".join(PRESETS)}.')
    if layout not in LAYOUTS:
        raise ConfigError(f'Unknown layout {layout!r}: choose one of {", ".join(LAYOUTS)}.')
    values = {**PRESETS[preset]['common'], **PRESETS[preset].get(layout, {})}
    values.update((name, value) for name, value in overrides.items() if value is not None)
    unknown = sorted(set(values) - set(WorldSpec.__dataclass_fields__))
    if unknown:
        raise ConfigError(f'A synthetic world has no field {unknown[0]!r}.')
    return WorldSpec(layout=layout, domain=domain or _DEFAULT_DOMAIN.get(preset, layout), **values)
