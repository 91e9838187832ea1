"""Packages required by the logging backends of a config."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from dscreid.errors import ConfigError

#: Packages of MMEngine's backends, as named on PyPI; ``WandbVisBackend`` needs ``wandb``.
_PACKAGES = ('tensorboard', 'wandb', 'mlflow', 'clearml', 'neptune', 'dvclive', 'aim')


def check_vis_backends(config: Mapping[str, Any], name: str = 'config') -> None:
    """Check that the packages of a config's logging backends are installed, without starting any backend.

    Raises:
        ConfigError: If a package is missing.
    """
    for backend in (config.get('visualizer') or {}).get('vis_backends') or ():
        backend_name = str(backend.get('type')).rpartition('.')[2]
        package = backend_name.removesuffix('VisBackend').lower()
        if backend_name.endswith('VisBackend') and package in _PACKAGES and find_spec(package) is None:
            hint = f'run "pip install {package}" or choose other vis_backends'
            raise ConfigError(f'{name}: {backend_name} in vis_backends needs the package {package}; {hint}')


def without_backends(config: Any) -> None:
    """Replace a config's logging backends, which may report to a server, in place, with MMEngine's local files."""
    if config.get('visualizer') is not None:
        config.visualizer.vis_backends = [dict(type='LocalVisBackend')]
