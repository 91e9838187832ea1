"""Registries for everything that a config can name with ``type``: children of MMEngine's, with scope ``dscreid``."""

from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

SCOPE = 'dscreid'


def _child(parent: Registry, *locations: str) -> Registry:
    """Create a registry of this package that falls back to MMEngine's registry of the same name."""
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=list(locations))


MODELS = _child(mmengine_registry.MODELS, 'dscreid.models')
DATASETS = _child(
    mmengine_registry.DATASETS,
    'dscreid.datasets.bupt_campus',
    'dscreid.datasets.hitsz_vcm',
    'dscreid.datasets.llcm',
    'dscreid.datasets.regdb',
    'dscreid.datasets.sysu_mm01',
    'dscreid.datasets.tracklet_folder',
)
DATA_SAMPLERS = _child(mmengine_registry.DATA_SAMPLERS, 'dscreid.datasets.samplers')
TRANSFORMS = _child(mmengine_registry.TRANSFORMS, 'dscreid.datasets.transforms')
HOOKS = _child(mmengine_registry.HOOKS, 'dscreid.engine.hooks')
METRICS = _child(mmengine_registry.METRICS, 'dscreid.evaluation.metric')
LABELERS = Registry('labeler', scope=SCOPE, locations=['dscreid.pseudo_labels.labelers'])

# Named by other keys than ``type``. Locations are imported at the first lookup.
CRITERIA = Registry('criterion', scope=SCOPE, locations=['dscreid.pseudo_labels.criteria'])
PROTOCOLS = Registry(
    'protocol', scope=SCOPE, locations=['dscreid.evaluation.protocols', 'dscreid.evaluation.image_protocols']
)
WORLDS = Registry('world', scope=SCOPE, locations=['dscreid.lab.synthetic.presets'])

# This package registers nothing in these. Without a child registry, MMEngine warns at each lookup in this scope.
_OTHERS = [
    _child(getattr(mmengine_registry, name))
    for name in (
        'EVALUATOR', 'LOG_PROCESSORS', 'LOOPS', 'MODEL_WRAPPERS', 'OPTIMIZERS', 'OPTIM_WRAPPERS',
        'OPTIM_WRAPPER_CONSTRUCTORS', 'PARAM_SCHEDULERS', 'RUNNERS', 'VISBACKENDS', 'VISUALIZERS',
    )
]  # fmt: skip


def registered_classes() -> dict[str, Any]:
    """Map names to all classes that a config can name with ``type``; this package's classes override MMEngine's."""
    own = [
        value
        for value in (*globals().values(), *_OTHERS)
        if isinstance(value, Registry) and value not in (CRITERIA, PROTOCOLS, WORLDS)
    ]
    classes: dict[str, Any] = {}
    for registry in [*(registry.parent for registry in own if registry.parent is not None), *own]:
        registry.import_from_location()
        classes.update(registry.module_dict)
    return classes
