"""What a result depends on. Keeps results of other code, data or settings from being reused by mistake."""

import ast
import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine import Config

from dscreid.apis.config import config_hash
from dscreid.registry import DATASETS
from dscreid.utils.shipped import PACKAGE, is_installed

#: Parts of the package that only show results and cannot change them.
_SHOWING = (
    'visualization', 'lab/reproduction', 'lab/synthetic/presets.py', 'lab/demo.py', 'lab/doctor',
    'lab/density_study.py', 'lab/target_study.py', 'lab/matching_study.py', 'lab/selection_study.py',
    'lab/verdict_study.py', 'apis/report.py', 'deployment', 'tracks', '__main__.py', '.mim',
)  # fmt: skip
_TASKS = 'lab/reproduction/tasks.py'
#: Keys: ``config`` (digest of what is trained and how it is tested), ``seed``, ``data`` (part of the data →
#: fingerprint), ``code`` (fingerprint) and ``sources`` (name of each run whose weights are used → its identity).
Identity = Mapping[str, Any]


def differences(recorded: Identity, expected: Identity, accept_revision: bool = False) -> list[str]:
    """Describe how a recorded run differs from the expected one; ``accept_revision`` ignores another code revision."""
    words = {'config': 'config', 'seed': 'seed', 'data': 'data', 'code': 'code revision'}
    if accept_revision:
        del words['code']
    found = [word for key, word in words.items() if recorded.get(key) != expected[key]]
    for name, identity in expected['sources'].items():
        inner = differences(recorded.get('sources', {}).get(name, {}), identity, accept_revision)
        # report a difference that all sources share only once
        found += [f'{reason} of its source {name}' for reason in inner if reason not in found]
    return found


def revisions_in(identity: Identity) -> set[str]:
    """Collect the code fingerprints of a run and of all runs it builds upon."""
    return {identity['code']}.union(*(revisions_in(source) for source in identity['sources'].values()))


def code_fingerprint(package: Path = PACKAGE) -> str:
    """Fingerprint the package's code, ignoring comments, docstrings and formatting. 16 hexadecimal digits."""
    paths = {path.relative_to(package).as_posix(): path for path in sorted(package.rglob('*.py'))}
    return digest({n: _bare_code(path) for n, path in paths.items() if n == _TASKS or not n.startswith(_SHOWING)})


def git_revision() -> str | None:
    """Return the checkout's commit, with ``-dirty`` if tracked files differ from it. None outside a checkout."""
    if is_installed():  # perhaps inside an unrelated repository
        return None
    command = ['git', '-C', str(PACKAGE.parent), 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*']
    try:
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL, timeout=30).strip()
    except (OSError, subprocess.SubprocessError):
        return None


def run_digest(config: Config, untrained: bool = False) -> str:
    """Fingerprint what a config trains and how it is tested, independent of the machine. 16 hexadecimal digits.

    ``untrained`` is for tests of the weights that the training would start from.
    """
    dataset = {key: value for key, value in config.test_dataloader.dataset.items() if key != 'root'}
    test = json.dumps([dataset, config.test_evaluator], sort_keys=True, default=str)
    found = digest([config_hash(config), test])
    return digest(['untrained', found]) if untrained else found


def dataset_fingerprints(config: Config) -> dict[str, str]:
    """Fingerprint the index of each split that a config trains or tests on, and how its frames were packed as JPEG."""
    fingerprints = {}
    for name in ('train', 'test'):
        if loader := config.get(f'{name}_dataloader'):
            dataset = DATASETS.build(dict(loader['dataset'], pipeline=[]))
            packed, fingerprint = dataset.storage.frame_format, dataset.fingerprint()
            same_pixels = packed is None or packed.encoding == 'raw'
            fingerprints[name] = fingerprint if same_pixels else digest([fingerprint, str(packed)])
    return fingerprints


def digest(content: Any) -> str:
    """Hash plain values to 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _bare_code(path: Path) -> str:
    """Read a source file without comments, docstrings and layout."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body[0] = ast.Pass()
    return ast.unparse(tree)
