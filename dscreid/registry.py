"""Child registries of MMEngine's, scope ``dscreid``: what a config can name with ``type``."""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

SCOPE = 'dscreid'

MODELS = Registry('model', parent=MMENGINE_MODELS, scope=SCOPE, locations=['dscreid.models'])
DATASETS = Registry('dataset', parent=MMENGINE_DATASETS, scope=SCOPE, locations=['dscreid.datasets'])
DATA_SAMPLERS = Registry(
    'data sampler', parent=MMENGINE_DATA_SAMPLERS, scope=SCOPE, locations=['dscreid.datasets.samplers']
)
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, scope=SCOPE, locations=['dscreid.datasets.transforms']
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope=SCOPE, locations=['dscreid.engine.hooks'])
METRICS = Registry('metric', parent=MMENGINE_METRICS, scope=SCOPE, locations=['dscreid.evaluation'])
LABELERS = Registry('labeler', scope=SCOPE, locations=['dscreid.pseudo_labels'])
