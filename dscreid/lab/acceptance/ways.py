"""Ways to compute an iteration, and the one that was fastest on this device."""

from collections.abc import Mapping
from typing import Any

#: Ways of DSC's transformer by name, and the options of each; those to be compiled come last.
WAYS: Mapping[str, Mapping[str, Any]] = {
    'eager': {'model.backbone.with_cp': False},
    'recomputed blocks': {'model.backbone.with_cp': True},
    'compiled': {'model.backbone.with_cp': False, 'model.backbone.compile_blocks': True},
    'compiled, CUDA graphs': {'model.backbone.with_cp': False, 'model.backbone.compile_blocks': 'reduce-overhead'},
}
#: Ways of a ResNet-50. The first one names no setting, because a setting is part of a run's identity.
RESNET_WAYS: Mapping[str, Mapping[str, Any]] = {
    'ResNet-50': {},
    'ResNet-50, channels last': {'model.backbone.channels_last': True},
}
TRANSFORMER, RESNET = 'SpatioTemporalPrompting', 'ResNet-50'
_WAYS_OF = {TRANSFORMER: WAYS, RESNET: RESNET_WAYS}


def fastest_ways(iteration: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Choose for each encoder the fastest way that ran, which fits into the memory, from the results of the step.

    Returns ``way``, ``seconds`` of an iteration and ``options`` of ``dscreid train``, by encoder; encoders of which no
    way has run are missing.
    """
    found = {}
    for name, ways in _WAYS_OF.items():
        seconds = {way: iteration[way]['seconds'] for way in ways if 'seconds' in iteration.get(way, {})}
        if seconds:
            way = min(seconds, key=lambda way: seconds[way])
            found[name] = {'way': way, 'seconds': seconds[way], 'options': _command_line(ways[way])}
    return found


def fastest_lines(fastest: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Describe the outcome of :func:`fastest_ways`, one line for each encoder."""
    return [
        f'{name}: {one["options"]} ({one["way"]}, {one["seconds"]:.3g} s an iteration)' for name, one in fastest.items()
    ]


def _command_line(options: Mapping[str, Any]) -> str:
    """Return the options of ``dscreid train``; an iteration is measured in bfloat16."""
    given = [f'{key}={value}' for key, value in options.items()]
    return ' '.join(['--amp', *(['--cfg-options', *given] if given else [])])
