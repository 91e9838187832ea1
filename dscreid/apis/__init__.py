"""High-level functions behind the tools: train both stages, evaluate, build a model for inference."""

from dscreid.lazy import lazy_exports
from dscreid.utils.shipped import find_config, shipped_configs

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {'config': ['load_config'], 'inference': ['init_model'], 'test': ['evaluate'], 'train': ['run_experiment']},
)
__all__ += ['find_config', 'shipped_configs']
