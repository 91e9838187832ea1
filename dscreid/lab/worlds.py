"""The two synthetic worlds of an experiment: a labeled source and an unlabeled target."""

from dscreid.errors import ConfigError
from dscreid.lab.synthetic import WorldSpec, make_spec

DIRECTIONS = ('bupt2hitsz', 'hitsz2bupt')
#: Added to an experiment's seed, so that the worlds share no person.
_SOURCE_SEED, _TARGET_SEED = 1000, 2000
#: Distance of the target's infrared sensor from the source's. At 0.4, visible clusters are pure but half of
#: the nearest neighbors across modalities are wrong.
_TARGET_GAP = 0.4
#: A source that a small tower can learn: people who look alike in one modality are more often alike in the other.
_EASY_SOURCE = {'modality_gap': 0.0, 'occluded': 0.1, 'sensor_spread': 0.05, 'material_spread': 0.4}


def adaptation_worlds(seed: int, direction: str = 'bupt2hitsz', preset: str = 'demo') -> tuple[WorldSpec, WorldSpec]:
    """Return the specs of source and target of one experiment; ``seed`` selects the people and cameras of both.

    The source has BUPTCampus' layout and the target HITSZ-VCM's, so that one set of configs serves both directions. In
    world ``full``, each domain has the layout and counts of its own data set.

    Raises:
        ConfigError: If the direction, one of ``DIRECTIONS``, or the preset, a name in ``WORLDS``, is unknown.
    """
    if direction not in DIRECTIONS:
        raise ConfigError(f'unknown direction {direction!r}; known are {", ".join(DIRECTIONS)}')
    source, target = direction.split('2')
    # the source always has the source family's sensor, so the gap is entirely the target's
    settings = [
        dict(domain=source, seed=_SOURCE_SEED + seed, **_EASY_SOURCE),
        dict(domain=target, seed=_TARGET_SEED + seed, modality_gap=_TARGET_GAP),
    ]
    layouts = (source, target) if preset == 'full' else ('bupt', 'hitsz')
    if preset == 'demo':
        # one test tracklet per camera: enough to measure, fast to extract
        settings[1]['test_tracklets'] = 6
    worlds = [make_spec(preset, layout, **values) for layout, values in zip(layouts, settings, strict=True)]
    return worlds[0], worlds[1]
