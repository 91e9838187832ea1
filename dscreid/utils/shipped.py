"""Configs, tools and weights that come with the package, both in a checkout and in an installation.

A wheel contains configs and tools in ``dscreid/.mim``, the folder that OpenMMLab uses for them; ``setup.py`` copies
them there when the wheel is built. In a checkout they are next to the package. Weights are package data in both.
"""

from importlib.resources import files
from pathlib import Path

from dscreid.errors import ConfigError
from dscreid.utils.files import existing_file
from dscreid.utils.signatures import closest

PACKAGE = Path(str(files('dscreid')))
#: Prefix by which a config names a file in the package's weights folder.
WEIGHTS_SCHEME = 'dscreid://'
_MIM = PACKAGE / '.mim'


def is_installed() -> bool:
    """Check if this is an installed package, not part of a checkout."""
    return _MIM.is_dir()


def shipped_folder() -> Path:
    """Return the folder that contains ``configs`` and ``tools``."""
    return _MIM if is_installed() else PACKAGE.parent


def shipped_configs() -> Path:
    """Return the folder of the shipped configs."""
    return shipped_folder() / 'configs'


def shipped_tools() -> Path:
    """Return the folder of the command-line tools."""
    return shipped_folder() / 'tools'


def find_config(name: str | Path) -> Path:
    """Find the file of a config.

    Args:
        name: A file, or the short name of a shipped config, such as ``dsc/dsc_bupt2hitsz``, with or without ``.py``.
            A file of that name has priority.

    Returns:
        The path of an existing file.

    Raises:
        ConfigError: If neither exists; the message names the closest shipped config.
    """
    found = existing_file(name)
    if found is not None:
        return found
    shipped = {_short_name(path): path for path in sorted(shipped_configs().rglob('*.py'))}
    short = str(name).removesuffix('.py')
    if short in shipped:
        return shipped[short]
    # for a wrong path, compare only its last two parts with the short names
    hint = closest('/'.join(Path(short).parts[-2:]), shipped)
    raise ConfigError(f'{name}: no such config file, and no shipped config has this name{hint}')


def locate_weights(name: str | Path) -> str | Path:
    """Resolve the ``pretrained`` value of a config; ``dscreid://NAME`` is a file in the package's weights folder."""
    if isinstance(name, str) and name.startswith(WEIGHTS_SCHEME):
        return PACKAGE / 'weights' / name.removeprefix(WEIGHTS_SCHEME)
    return name


def _short_name(config: Path) -> str:
    return config.relative_to(shipped_configs()).with_suffix('').as_posix()
