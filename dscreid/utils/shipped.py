"""What comes with the package: configs, tools and weights, in a checkout and in an installation alike.

A wheel holds configs and tools in ``dscreid/.mim``, OpenMMLab's place for them, where ``setup.py`` copies them when
the wheel is built; in a checkout they lie beside the package. Weights are package data in both.
"""

from importlib.resources import files
from pathlib import Path

from dscreid.errors import ConfigError
from dscreid.utils.files import existing_file
from dscreid.utils.signatures import closest

PACKAGE = Path(str(files('dscreid')))
#: How a config names a file among the package's weights.
WEIGHTS_SCHEME = 'dscreid://'
_MIM = PACKAGE / '.mim'


def is_installed() -> bool:
    """Whether this is an installed package; otherwise it is part of a checkout."""
    return _MIM.is_dir()


def shipped_folder() -> Path:
    """The folder of ``configs`` and ``tools``."""
    return _MIM if is_installed() else PACKAGE.parent


def shipped_configs() -> Path:
    """The folder of the shipped configs."""
    return shipped_folder() / 'configs'


def shipped_tools() -> Path:
    """The folder of the command-line tools."""
    return shipped_folder() / 'tools'


def find_config(name: str | Path) -> Path:
    """The file of a config.

    Args:
        name: A file, or the short name of a shipped config, such as ``dsc/dsc_bupt2hitsz``, with or without ``.py``.
            A file of that name comes first.

    Returns:
        The path of a file that exists.

    Raises:
        ConfigError: There is neither; the message names the closest shipped config.
    """
    found = existing_file(name)
    if found is not None:
        return found
    shipped = {_short_name(path): path for path in sorted(shipped_configs().rglob('*.py'))}
    short = str(name).removesuffix('.py')
    if short in shipped:
        return shipped[short]
    # a path that leads nowhere is closest to the short name at its end
    hint = closest('/'.join(Path(short).parts[-2:]), shipped)
    raise ConfigError(f'{name}: no such config file, and no shipped config has this name{hint}')


def locate_weights(name: str | Path) -> str | Path:
    """The file that ``pretrained`` of a config names; ``dscreid://NAME`` is a file among the package's weights."""
    if isinstance(name, str) and name.startswith(WEIGHTS_SCHEME):
        return PACKAGE / 'weights' / name.removeprefix(WEIGHTS_SCHEME)
    return name


def _short_name(config: Path) -> str:
    return config.relative_to(shipped_configs()).with_suffix('').as_posix()
