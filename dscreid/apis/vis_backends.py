"""Packages required by the logging backends of a config."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from dscreid.errors import ConfigError

#: Packages of MMEngine's backends, and their names on PyPI.
_PACKAGES = {
    'TensorboardVisBackend': 'tensorboard',
    'WandbVisBackend': 'wandb',
    'MLflowVisBackend': 'mlflow',
    'ClearMLVisBackend': 'clearml',
    'NeptuneVisBackend': 'neptune',
    'DVCLiveVisBackend': 'dvclive',
    'AimVisBackend': 'aim',
}


def check_vis_backends(config: Mapping[str, Any], name: str = 'config') -> None:
    """Check that the packages of a config's logging backends are installed, without starting any backend.

    Raises:
        ConfigError: If a package is missing.
    """
    for backend in (config.get('visualizer') or {}).get('vis_backends') or ():
        type_name = str(backend.get('type')).rpartition('.')[2]
        package = _PACKAGES.get(type_name)
        if package is not None and find_spec(package) is None:
            hint = f'run "pip install {package}" or choose other vis_backends'
            raise ConfigError(f'{name}: {type_name} in vis_backends needs the package {package}; {hint}')


def without_backends(config: Any) -> None:
    """Replace a config's logging backends, in place, with MMEngine's local files in the work directory.

    Other backends would report the run to a server.
    """
    if config.get('visualizer') is not None:
        config.visualizer.vis_backends = [dict(type='LocalVisBackend')]
