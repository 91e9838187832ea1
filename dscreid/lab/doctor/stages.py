"""The stages of a config and the datasets they read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine import Config

from dscreid.apis.config import config_name, inherited_options, load_config
from dscreid.engine.common_settings import walk
from dscreid.models.reid import is_supervised


@dataclass(frozen=True)
class Stage:
    """A stage, ``'source'``, ``'supervised'``, ``'adaptation'`` or ``'evaluation'``, and its config."""

    name: str
    config: Config

    @property
    def subject(self) -> str:
        """Name of the stage in findings."""
        return f'{self.name} ({config_name(self.config)})'


@dataclass(frozen=True)
class DatasetUse:
    """A dataset folder and how the stages read it."""

    type_name: str  # name of the registered class
    root: str  # the folder
    settings: tuple[dict[str, Any], ...]  # dataset configs of all loaders that read it, without duplicates
    variable: str | None = None  # environment variable that sets the folder, or None

    def of_split(self, split: str) -> list[dict[str, Any]]:
        """Return the settings that read the given split, also as part of a union (``'train+auxiliary'``)."""
        return [s for s in self.settings if split in str(s.get('split')).split('+')]


def stages_of(config_path: Path, options: dict[str, Any]) -> list[Stage]:
    """Return the stages of an experiment: the source stage, if the config names one, and its own stage.

    ``options`` are overrides by dotted key. As in training, only a few of them also apply to the source stage.

    Raises:
        ConfigError: If a config is missing or malformed, or the source stages form a cycle.
    """
    config = load_config(config_path, options)
    stages = []
    if config.get('source') is not None:
        stages = stages_of(Path(config.source.config), inherited_options(options))
    name = 'evaluation' if config.get('train_cfg') is None else _kind_of(config.get('model', {}))
    return [*stages, Stage(name, config)]


def _kind_of(model: Mapping[str, Any]) -> str:
    if model.get('type') == 'SourceReID':
        return 'source'
    return 'supervised' if is_supervised(model) else 'adaptation'


def datasets_of(stages: list[Stage]) -> list[DatasetUse]:
    """Collect the datasets of all loaders by class and folder, in the order of the stages."""
    uses: dict[tuple[str, str], list[dict[str, Any]]] = {}
    variables: dict[str, str] = {}
    for stage in stages:
        variables |= {str(value): name for name, value in stage.config.env_variables.items()}
        for loader in dicts_in(stage.config.to_dict()):
            settings = loader.get('dataset')
            if 'sampler' not in loader or not isinstance(settings, dict) or 'root' not in settings:
                continue
            found = uses.setdefault((str(settings.get('type')), str(settings['root'])), [])
            plain = {key: value for key, value in settings.items() if key != 'pipeline'}
            if plain not in found:
                found.append(plain)
    return [DatasetUse(name, root, tuple(settings), variables.get(root)) for (name, root), settings in uses.items()]


def dicts_in(node: Any) -> Iterator[dict[str, Any]]:
    """Yield all dictionaries of a config, each before those that it contains."""
    return (part for _, part in walk(node) if isinstance(part, dict))
