"""The two synthetic worlds of an experiment: a labelled source and an unlabelled target."""

from dscreid.errors import ConfigError
from dscreid.lab.synthetic import WorldSpec, make_spec

DIRECTIONS = ('bupt2hitsz', 'hitsz2bupt')
#: Added to an experiment's seed, so that no person is in both worlds.
_SOURCE_SEED, _TARGET_SEED = 1000, 2000
#: How far the target's infrared sensor is from the source's: at 0.4 visible clusters are pure while one of two
#: nearest neighbours across modalities is wrong, so that the gap is most of what adaptation must bridge.
_TARGET_GAP = 0.4
#: A source that a small tower masters: few occluders, one make of infrared sensor, and materials that differ less in
#: the infrared, so that looks which are alike in one modality are more often alike in the other.
_EASY_SOURCE = {'modality_gap': 0.0, 'occluded': 0.1, 'sensor_spread': 0.05, 'material_spread': 0.4}


def adaptation_worlds(
    seed: int, direction: str = 'bupt2hitsz', preset: str = 'demo'
) -> tuple[WorldSpec, WorldSpec]:
    """Source and target of one experiment.

    In preset ``demo`` sizes and layouts belong to the roles, the source in BUPTCampus' layout and the target in
    HITSZ-VCM's, so that one set of configs serves both directions: the reverse direction exchanges the domains, that
    is how people, cameras and sensors look. In preset ``full`` each domain has its own dataset's layout and counts.

    Args:
        seed: Chooses both worlds' people and cameras.
        direction: One of ``DIRECTIONS``, named by domain.
        preset: ``'demo'`` or ``'full'``.

    Raises:
        ConfigError: There is no such direction, or no such preset.
    """
    if direction not in DIRECTIONS:
        raise ConfigError(f'unknown direction {direction!r}; known are {", ".join(DIRECTIONS)}')
    source, target = direction.split('2')
    # the source's sensor is the family's in both directions: the gap is the target's
    settings = [
        dict(domain=source, seed=_SOURCE_SEED + seed, **_EASY_SOURCE),
        dict(domain=target, seed=_TARGET_SEED + seed, modality_gap=_TARGET_GAP),
    ]
    layouts = (source, target) if preset == 'full' else ('bupt', 'hitsz')
    if preset == 'demo':
        # one test tracklet per camera: enough to measure, quick to extract
        settings[1]['test_tracklets'] = 6
    worlds = [make_spec(preset, layout, **values) for layout, values in zip(layouts, settings, strict=True)]
    return worlds[0], worlds[1]
