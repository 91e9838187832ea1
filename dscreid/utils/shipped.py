"""Configs, tools and weights that come with the package.

A wheel contains configs and tools in ``dscreid/.mim``, where ``setup.py`` copies them; in a checkout they are next to
the package.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from dscreid.errors import ConfigError
from dscreid.utils.build_errors import closest
from dscreid.utils.files import existing_file

PACKAGE = Path(str(files('dscreid')))
#: Prefix by which a config names a file in the package's weights folder.
WEIGHTS_SCHEME = 'dscreid://'
_MIM = PACKAGE / '.mim'
#: Environment variable that selects the direction of a config that exists once for all directions.
DIRECTION = 'DSCREID_DIRECTION'


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
    """Find a config by its file or, if there is none, by its short name, such as ``dsc/dsc_bupt2hitsz``.

    The result may be a name that :func:`split_direction` accepts.

    Raises:
        ConfigError: If neither exists, or a shipped config has no such direction.
    """
    name = str(name)
    short = name.removesuffix('.py')
    shipped_path = shipped_configs() / f'{short}.py'
    candidates = [Path(name)] if '..' in Path(short).parts else [Path(name), shipped_path]
    for path in filter(is_config, candidates):
        file, direction = split_direction(path)
        known = directions_of(file)
        if direction is not None and direction not in known and file.is_relative_to(shipped_configs()):
            raise ConfigError(f"{name}: no direction '{direction}'; known are {', '.join(known)}")
        return path
    shipped = []
    for path in sorted(shipped_configs().rglob('*.py')):
        own = path.relative_to(shipped_configs()).with_suffix('').as_posix()
        shipped += [f'{own}_{direction}' for direction in directions_of(path)] or [own]
    # for a wrong path, compare only its last two parts with the short names
    hint = closest('/'.join(Path(short).parts[-2:]), shipped)
    raise ConfigError(f'{name}: no such config file, and no shipped config has this name{hint}')


def split_direction(path: str | Path) -> tuple[Path, str | None]:
    """Split the name of a config that exists once for all directions, such as ``gur_hitsz2bupt.py``.

    Returns:
        The file (``gur.py``) and the direction, or the path itself and None if it exists or names no such config.
    """
    path = Path(path)
    words = path.stem.split('_') if existing_file(path) is None else []
    for place in range(len(words) - 1, 0, -1):
        file = path.with_name(f'{"_".join(words[:place])}{path.suffix}')
        if has_directions(file):
            return file, '_'.join(words[place:])
    return path, None


def is_config(path: str | Path) -> bool:
    """Check if a path is an existing file, or names a config for one of its directions."""
    return existing_file(path) is not None or split_direction(path)[1] is not None


def directions_of(path: Path) -> list[str]:
    """List the directions of a config: the files that it, or one of its bases, can inherit from by the direction.

    A config that inherits from ``dsc_{{$DSCREID_DIRECTION:...}}.py`` has a direction for each file ``dsc_DIRECTION.py``
    in that folder. Empty if a config exists once only.
    """
    pattern = _direction_pattern(path)
    if pattern is None:
        return []
    start, end = pattern.name.split('*')
    found = sorted(pattern.parent.glob(pattern.name))
    return [file.name.removeprefix(start).removesuffix(end) for file in found if not has_directions(file)]


def has_directions(path: Path) -> bool:
    """Check if a config or one of its bases takes the direction from ``DSCREID_DIRECTION``."""
    return _direction_pattern(path) is not None


def _direction_pattern(path: Path) -> Path | None:
    """Return the path of the base that depends on the direction, with ``*`` in its place; None if there is none."""
    try:
        text = path.read_text(encoding='utf-8', errors='replace') if path.suffix == '.py' else ''
    except (OSError, ValueError):  # no such file, or not a file name
        return None
    bases = re.search(r'^_base_\s*=\s*(\[[^\]]*\]|.*)', text, flags=re.M)
    for name in re.findall(r'[\'"]([^\'"]+)[\'"]', bases[1]) if bases else []:
        if f'${DIRECTION}' in name:
            return (path.parent / re.sub(r'\{\{.*?\}\}', '*', name)).resolve()
        if (found := _direction_pattern(path.parent / name)) is not None:
            return found
    return None


@contextmanager
def chosen_direction(direction: str | None) -> Iterator[None]:
    """Let configs that are read inside the block use a direction; None changes nothing."""
    before = os.environ.get(DIRECTION)
    if direction is not None:
        os.environ[DIRECTION] = direction
    try:
        yield
    finally:
        os.environ.pop(DIRECTION, None)
        if before is not None:
            os.environ[DIRECTION] = before


def locate_weights(name: str | Path) -> str | Path:
    """Resolve the ``pretrained`` value of a config; ``dscreid://NAME`` is a file in the package's weights folder."""
    if isinstance(name, str) and name.startswith(WEIGHTS_SCHEME):
        return PACKAGE / 'weights' / name.removeprefix(WEIGHTS_SCHEME)
    return name
