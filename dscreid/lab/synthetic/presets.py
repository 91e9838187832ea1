"""Named worlds: how many people, tracklets and frames, and how they look."""

from typing import Any, ClassVar

from dscreid.errors import ConfigError
from dscreid.lab.synthetic.spec import WorldSpec
from dscreid.registry import WORLDS
from dscreid.utils.build_errors import closest

Values = dict[str, Any]


class World:
    """Base of named worlds. Register a subclass in ``WORLDS`` to use it in ``make_spec`` and ``dscreid synthesize``."""

    common: ClassVar[Values] = {}  #: fields of ``WorldSpec`` for both layouts, if not its defaults
    bupt: ClassVar[Values] = {}  #: fields for layout 'bupt'
    hitsz: ClassVar[Values] = {}  #: fields for layout 'hitsz'
    domain: ClassVar[str | None] = None  #: appearance. None uses the domain with the layout's name.


@WORLDS.register_module(name='tiny')
class Tiny(World):
    """For tests, rendered in seconds."""

    common: ClassVar[Values] = dict(train_ids=8, test_ids=6, cameras=4, min_frames=12, max_frames=14)
    bupt: ClassVar[Values] = dict(auxiliary_ids=4)


@WORLDS.register_module(name='demo')
class Demo(World):
    """For the demo: two CPU cores learn source and target in minutes."""

    bupt: ClassVar[Values] = dict(train_ids=240, test_ids=60, auxiliary_ids=12, tracklets=8, test_tracklets=8)
    hitsz: ClassVar[Values] = dict(train_ids=150, test_ids=80, tracklets=12, test_tracklets=12)


@WORLDS.register_module(name='demo-short')
class DemoShort(World):
    """For the short demo: half of the demo's frames."""

    bupt: ClassVar[Values] = dict(
        train_ids=160, test_ids=40, auxiliary_ids=8, tracklets=6, test_tracklets=4, min_frames=8, max_frames=8
    )
    # HITSZ-VCM's loader drops tracklets of fewer than 12 frames.
    hitsz: ClassVar[Values] = dict(train_ids=100, test_ids=60, tracklets=12, test_tracklets=4)


@WORLDS.register_module(name='full')
class Full(World):
    """As many identities as the published data sets, in frames of the size that the paper's model reads."""

    common: ClassVar[Values] = dict(min_frames=24, max_frames=24, height=288, width=144)
    bupt: ClassVar[Values] = dict(train_ids=1074, auxiliary_ids=930, test_ids=1076, tracklets=3, test_tracklets=3)
    hitsz: ClassVar[Values] = dict(train_ids=500, test_ids=427, tracklets=10, test_tracklets=10)


@WORLDS.register_module(name='pretrain')
class Pretrain(World):
    """Many people, cameras and sensors with few frames each, to train a small tower instead of CLIP."""

    common: ClassVar[Values] = dict(train_ids=1600, test_ids=60, tracklets=12, test_tracklets=6)
    bupt: ClassVar[Values] = dict(min_frames=2, max_frames=2)
    domain = 'varied'


def make_spec(preset: str, layout: str, domain: str | None = None, **overrides: Any) -> WorldSpec:
    """Return the spec of the world named ``preset`` in ``WORLDS``, in layout 'hitsz' or 'bupt'.

    ``domain`` is a name in ``DOMAINS``, ``overrides`` are other fields of ``WorldSpec``; None keeps the world's value.

    Raises:
        ConfigError: If a name is unknown or a value is out of range.
    """
    world = WORLDS.get(preset)
    if world is None:
        known = WORLDS.module_dict
        raise ConfigError(f'unknown world {preset!r}{closest(preset, known)} (known are {", ".join(known)})')
    values = world.common | getattr(world, layout, {})
    values |= {name: value for name, value in overrides.items() if value is not None}
    for name in values.keys() - WorldSpec.__dataclass_fields__.keys():
        raise ConfigError(f'a synthetic world has no field {name!r}')
    return WorldSpec(layout=layout, domain=domain or world.domain or layout, **values)
