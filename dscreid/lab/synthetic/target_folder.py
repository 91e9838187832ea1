"""The output folder of a world: foreign files are never overwritten, and a marker shows whether a world is finished."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from dscreid.errors import DatasetError
from dscreid.lab.synthetic.spec import WorldSpec

RENDERER_VERSION = 3  # increase it whenever the same spec gives different pictures
MARKER = 'world.json'  # written last: the world is finished
MANIFEST = 'world.files'  # written first: all other files of the world, one path per line


def is_complete(root: str | Path, spec: WorldSpec) -> bool:
    """Whether ``root`` holds a finished world of exactly this ``spec``, rendered by this version."""
    try:
        marker = json.loads((Path(root) / MARKER).read_text(encoding='utf-8'))
        return marker['renderer'] == RENDERER_VERSION and marker['spec'] == spec.to_dict()
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return False


def prepare_root(root: Path, files: Iterable[str], overwrite: bool) -> None:
    """Make ``root`` a folder that contains nothing but the list of the ``files`` to be written to it.

    Raises:
        DatasetError: If ``root`` is a file, holds anything other than a synthetic world, or holds a world and
            ``overwrite`` is False.
    """
    if root.exists() and not root.is_dir():
        raise DatasetError(f'{root} is a file; name a folder to write the synthetic world to')
    if root.exists() and any(root.iterdir()):
        if not (root / MANIFEST).is_file():
            raise DatasetError(f'{root} contains files but no synthetic world; name an empty or new folder')
        if not overwrite:
            state = 'a finished' if (root / MARKER).is_file() else 'an unfinished'
            raise DatasetError(
                f'{root} contains {state} synthetic world; pass --overwrite (overwrite=True) to replace it'
            )
        _check_for_foreign_files(root)
        _clear(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / MANIFEST).write_text(''.join(f'{name}\n' for name in files), encoding='utf-8')


def _check_for_foreign_files(root: Path) -> None:
    own = {MARKER, MANIFEST, *(root / MANIFEST).read_text(encoding='utf-8').splitlines()}
    for path in sorted(root.rglob('*')):
        is_file = path.is_symlink() or not path.is_dir()
        if is_file and path.relative_to(root).as_posix() not in own:
            raise DatasetError(
                f'{path} is in a synthetic world that was to be replaced; move it, or name another folder'
            )


def _clear(root: Path) -> None:
    """Empty ``root`` except for the manifest, which identifies the folder if the process is killed."""
    (root / MARKER).unlink(missing_ok=True)
    for entry in root.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != MANIFEST:
            entry.unlink()


def write_marker(root: Path, spec: WorldSpec, counts: dict[str, dict[str, int]]) -> None:
    """Mark the world in ``root`` as finished, with its spec and the counts of each split."""
    content = {'renderer': RENDERER_VERSION, 'spec': spec.to_dict(), 'counts': counts}
    (root / MARKER).write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
