"""Named worlds: how many people, tracklets and frames, how they look, and how they pair up in an experiment."""

from typing import Any, ClassVar

from dscreid.errors import ConfigError
from dscreid.lab.synthetic.spec import LAYOUTS, WorldSpec
from dscreid.registry import WORLDS
from dscreid.utils.build_errors import closest

Values = dict[str, Any]
DIRECTIONS = ('bupt2hitsz', 'hitsz2bupt')
#: Added to an experiment's seed, so that the worlds share no person.
_SOURCE_SEED, _TARGET_SEED = 1000, 2000
#: A source that a small tower can learn: people who look alike in one modality are more often alike in the other.
_EASY_SOURCE = {'modality_gap': 0.0, 'occluded': 0.1, 'sensor_spread': 0.05, 'material_spread': 0.4}
#: Distance of the target's infrared sensor from the source's. At 0.4, visible clusters are pure but half of
#: the nearest neighbors across modalities are wrong.
_TARGET = {'modality_gap': 0.4}


class World:
    """Base of named worlds. Register a subclass in ``WORLDS`` to use it in ``make_spec`` and ``dscreid synthesize``.

    For experiments on it, see :func:`adaptation_worlds` and add a line to ``PRESETS`` of ``lab/reproduction``.
    """

    common: ClassVar[Values] = {}  #: fields of ``WorldSpec`` for both layouts, if not its defaults
    bupt: ClassVar[Values] = {}  #: fields for layout 'bupt'
    hitsz: ClassVar[Values] = {}  #: fields for layout 'hitsz'
    #: fields for the layouts of single pictures; a tracklet is a walk whose frames become pictures
    sysu: ClassVar[Values] = dict(cameras=6, min_frames=3, max_frames=3)
    regdb: ClassVar[Values] = dict(cameras=2, tracklets=2, test_tracklets=2, min_frames=5, max_frames=5)
    llcm: ClassVar[Values] = dict(cameras=9, test_tracklets=9, min_frames=2, max_frames=2)
    domain: ClassVar[str | None] = None  #: appearance. None uses the domain with the layout's name.
    source: ClassVar[Values] = _EASY_SOURCE  #: further fields of an experiment's source
    target: ClassVar[Values] = _TARGET  #: further fields of an experiment's target
    #: whether the target of an experiment has the domain of its source, so that only their settings differ
    same_look: ClassVar[bool] = False
    #: whether each domain has the layout of its own data set; otherwise sources are 'bupt' and targets 'hitsz', so that
    #: one set of configs serves both directions
    own_layouts: ClassVar[bool] = False


@WORLDS.register_module(name='tiny')
class Tiny(World):
    """For tests, rendered in seconds."""

    common: ClassVar[Values] = dict(train_ids=8, test_ids=6, cameras=4, min_frames=12, max_frames=14)
    bupt: ClassVar[Values] = dict(auxiliary_ids=4)


@WORLDS.register_module(name='demo')
class Demo(World):
    """Two CPU cores learn source and target in minutes. Another sensor: each person's errors across it are its own."""

    bupt: ClassVar[Values] = dict(train_ids=240, test_ids=60, auxiliary_ids=12, tracklets=8, test_tracklets=8)
    hitsz: ClassVar[Values] = dict(train_ids=150, test_ids=80, tracklets=12, test_tracklets=12)
    # one test tracklet per camera: enough to measure, fast to extract
    target: ClassVar[Values] = _TARGET | {'test_tracklets': 6}


@WORLDS.register_module(name='rule')
class Rule(Demo):
    """For the demo, the paper's situation: good clusters within a modality, and a rule across that all people share.

    The target looks like the source in visible light. Its infrared sensor keeps identity, but gives colors other tones.
    """

    same_look = True
    target: ClassVar[Values] = dict(
        modality_gap=0.8, material_spread=0.2, occluded=0.1, sensor='rule', test_tracklets=6
    )


@WORLDS.register_module(name='demo-short')
class DemoShort(Rule):
    """For the short demo: half of the frames of ``rule``."""

    bupt: ClassVar[Values] = dict(
        train_ids=160, test_ids=40, auxiliary_ids=8, tracklets=6, test_tracklets=4, min_frames=8, max_frames=8
    )
    # HITSZ-VCM's loader drops tracklets of fewer than 12 frames.
    hitsz: ClassVar[Values] = dict(train_ids=100, test_ids=60, tracklets=12)
    target: ClassVar[Values] = Rule.target | {'test_tracklets': 4}


@WORLDS.register_module(name='few')
class Few(Rule):
    """Clustering is hard: the rule world with three tracklets per person and modality, about as many as BUPTCampus."""

    hitsz: ClassVar[Values] = Demo.hitsz | {'train_ids': 400, 'tracklets': 3}


@WORLDS.register_module(name='noisy')
class Noisy(Rule):
    """A tracker's output: the rule world with occlusion, changing light and blur, cut walks and switched persons."""

    hitsz: ClassVar[Values] = Demo.hitsz | {'min_frames': 24, 'max_frames': 24}
    target: ClassVar[Values] = Rule.target | dict(
        occluded=0.5, changing_light=0.3, motion_blur=0.2, switched=0.1, cut=0.25
    )


@WORLDS.register_module(name='full')
class Full(World):
    """As many identities as the published data sets, in frames of the size that the paper's model reads."""

    common: ClassVar[Values] = dict(min_frames=24, max_frames=24, height=288, width=144)
    bupt: ClassVar[Values] = dict(train_ids=1074, auxiliary_ids=930, test_ids=1076, tracklets=3, test_tracklets=3)
    hitsz: ClassVar[Values] = dict(train_ids=500, test_ids=427, tracklets=10, test_tracklets=10)
    sysu: ClassVar[Values] = World.sysu | dict(train_ids=395, test_ids=96)
    regdb: ClassVar[Values] = World.regdb | dict(train_ids=206, test_ids=206)
    llcm: ClassVar[Values] = World.llcm | dict(train_ids=713, test_ids=351)
    own_layouts = True


@WORLDS.register_module(name='pretrain')
class Pretrain(World):
    """Many people, cameras and sensors with few frames each, to train a small tower instead of CLIP."""

    common: ClassVar[Values] = dict(train_ids=1600, test_ids=60, tracklets=12, test_tracklets=6)
    bupt: ClassVar[Values] = dict(min_frames=2, max_frames=2)
    domain = 'varied'


def make_spec(preset: str, layout: str, domain: str | None = None, **overrides: Any) -> WorldSpec:
    """Return the spec of the world named ``preset`` in ``WORLDS``, in a layout of ``LAYOUTS``.

    ``domain`` is a name in ``DOMAINS``, ``overrides`` are other fields of ``WorldSpec``; None keeps the world's value.

    Raises:
        ConfigError: If a name is unknown or a value is out of range.
    """
    world = _find_world(preset)
    values = world.common | getattr(world, layout, {})
    values |= {name: value for name, value in overrides.items() if value is not None}
    for name in values.keys() - WorldSpec.__dataclass_fields__.keys():
        raise ConfigError(f'a synthetic world has no field {name!r}')
    look = domain or world.domain or (LAYOUTS[layout].domain if layout in LAYOUTS else layout)
    return WorldSpec(layout=layout, domain=look, **values)


def adaptation_worlds(seed: int, direction: str = 'bupt2hitsz', preset: str = 'demo') -> tuple[WorldSpec, WorldSpec]:
    """Return the specs of source and target of one experiment; ``seed`` selects the people and cameras of both.

    Raises:
        ConfigError: If the direction, one of ``DIRECTIONS``, or the preset, a name in ``WORLDS``, is unknown.
    """
    if direction not in DIRECTIONS:
        raise ConfigError(f'unknown direction {direction!r}; known are {", ".join(DIRECTIONS)}')
    world, domains = _find_world(preset), direction.split('2')
    layouts = domains if world.own_layouts else ('bupt', 'hitsz')
    look = domains[0 if world.same_look else 1]
    return (
        make_spec(preset, layouts[0], domains[0], seed=_SOURCE_SEED + seed, **world.source),
        make_spec(preset, layouts[1], look, seed=_TARGET_SEED + seed, **world.target),
    )


def _find_world(name: str) -> type[World]:
    world = WORLDS.get(name)
    if world is None:
        known = WORLDS.module_dict
        raise ConfigError(f'unknown world {name!r}{closest(name, known)} (known are {", ".join(known)})')
    return world
