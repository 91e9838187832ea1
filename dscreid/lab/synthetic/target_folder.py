"""The output folder of a world. Foreign files are never overwritten, and a marker shows whether a world is finished."""

import json
import shutil
from pathlib import Path

from dscreid.errors import DatasetError
from dscreid.lab.synthetic.spec import WorldSpec

RENDERER_VERSION = 3  # increase it whenever the same spec gives different pictures
MARKER = 'world.json'  # written last: the world is finished
STARTED = 'world.started'  # written first, removed last: the world is unfinished
MANIFEST = 'world.files'  # all other files of a finished world, one path per line
#: Top-level files and folders that the renderer writes, in either layout.
_WRITTEN = {
    MARKER, STARTED, MANIFEST, f'{MARKER}.partial', 'info', 'Train', 'Test', 'DATA', 'data_paths.json',
    'train.txt', 'train_auxiliary.txt', 'query.txt', 'gallery.txt',
}  # fmt: skip


def is_complete(root: str | Path, spec: WorldSpec) -> bool:
    """Whether ``root`` holds a finished world of exactly this ``spec``, rendered by this version."""
    try:
        marker = json.loads((Path(root) / MARKER).read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return False
    return (
        isinstance(marker, dict) and marker.get('renderer') == RENDERER_VERSION and marker.get('spec') == spec.to_dict()
    )


def prepare_root(root: Path, overwrite: bool) -> None:
    """Make ``root`` an empty folder with the marker of an unfinished world.

    Raises:
        DatasetError: If ``root`` is a file, holds anything other than a synthetic world, or holds a world and
            ``overwrite`` is False.
    """
    if root.exists() and not root.is_dir():
        raise DatasetError(f'{root} is a file; name a folder to write the synthetic world to')
    if root.exists() and any(root.iterdir()):
        finished = (root / MARKER).is_file()
        if not finished and not (root / STARTED).is_file():
            raise DatasetError(f'{root} contains files but no synthetic world; name an empty or new folder')
        if not overwrite:
            state = 'a finished' if finished else 'an unfinished'
            raise DatasetError(
                f'{root} contains {state} synthetic world; pass --overwrite (overwrite=True) to replace it'
            )
        if (foreign := _foreign_file(root)) is not None:
            raise DatasetError(
                f'{foreign} is in a synthetic world that was to be replaced; move it, or name another folder'
            )
        _clear(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / STARTED).write_text('A synthetic world is being written here.\n', encoding='utf-8')


def _foreign_file(root: Path) -> Path | None:
    """Return a file in a world's folder that the renderer did not write, or None.

    A finished world is compared with its manifest. An unfinished world has none: its folder was empty when rendering
    started, and only the names at the top level are compared.
    """
    foreign = {path for path in root.iterdir() if path.name not in _WRITTEN}
    if (root / MANIFEST).is_file():
        written = {*(root / MANIFEST).read_text(encoding='utf-8').splitlines()}
        others = (path for path in _files(root) if path.name not in _WRITTEN)
        foreign |= {path for path in others if _relative(path, root) not in written}
    return min(foreign, default=None)


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob('*') if path.is_symlink() or not path.is_dir())


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _clear(root: Path) -> None:
    """Empty ``root`` except for the unfinished marker, which identifies the folder if the process is killed."""
    (root / STARTED).write_text('A synthetic world is being replaced here.\n', encoding='utf-8')
    for name in (MARKER, MANIFEST):
        (root / name).unlink(missing_ok=True)
    for entry in sorted(root.iterdir()):
        if entry.name == STARTED:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def write_marker(root: Path, spec: WorldSpec, counts: dict[str, dict[str, int]]) -> None:
    """Mark the world in ``root`` as finished, with its spec and the counts of each split."""
    content = {'renderer': RENDERER_VERSION, 'spec': spec.to_dict(), 'counts': counts}
    names = [_relative(path, root) for path in _files(root) if path.name not in (MANIFEST, STARTED)]
    (root / MANIFEST).write_text(''.join(f'{name}\n' for name in names), encoding='utf-8')
    partial = root / f'{MARKER}.partial'
    partial.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    partial.replace(root / MARKER)
    (root / STARTED).unlink()
