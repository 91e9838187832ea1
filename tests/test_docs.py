"""The code in the documentation runs."""

import doctest
import importlib
import re
import sys
from pathlib import Path

import numpy
import pytest
import torch

from dscreid.apis.config import load_config
from dscreid.apis.dry_run import plan_experiment
from dscreid.apis.train import RunOptions
from dscreid.registry import CRITERIA, HOOKS, LABELERS, MODELS

DOCS = Path(__file__).parents[1] / 'docs'
PACKAGE = DOCS.parent / 'dscreid'


def python_blocks(page):
    return re.findall(r'^```python\n(.*?)^```', (DOCS / page).read_text(encoding='utf-8'), flags=re.M | re.S)


@pytest.fixture
def own_parts(tmp_path, monkeypatch):
    """The classes of the page on own parts as a module, and its configs; registered for one test."""
    blocks = python_blocks('extend/index.md')
    configs = [block for block in blocks if '_base_' in block]
    (tmp_path / 'own_parts.py').write_text('\n'.join(block for block in blocks if block not in configs))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'own_parts', raising=False)
    registered = [dict(registry.module_dict) for registry in (MODELS, LABELERS, CRITERIA, HOOKS)]
    yield configs
    sys.modules.pop('own_parts', None)
    for registry, before in zip((MODELS, LABELERS, CRITERIA, HOOKS), registered, strict=True):
        for name in registry.module_dict.keys() - before.keys():
            del registry.module_dict[name]


def test_a_config_of_own_parts_passes_a_dry_run(own_parts, tiny_runs, tmp_path):
    base = "_base_ = 'configs/dsc/dsc_bupt2hitsz.py'"
    assert base in own_parts[0]
    path = tmp_path / 'my_method.py'
    path.write_text(own_parts[0].replace(base, f'_base_ = {str(tiny_runs.adapt)!r}').replace('_delete_=True, ', ''))
    plan = plan_experiment(path, RunOptions(work_dir=tmp_path / 'run'))
    assert 'my_method.py' in plan
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('direction', 'dataset', 'persons'), [('hitsz2bupt', 'BUPTCampus', 1074), ('demo', 'HITSZVCM', 150)]
)
def test_a_method_is_one_file_for_all_directions(own_parts, tmp_path, direction, dataset, persons):
    assert "'../dsc/dsc_" in own_parts[1]
    folder = DOCS.parent / 'configs' / 'dsc'
    (tmp_path / 'kmeans.py').write_text(own_parts[1].replace("'../dsc/", f"'{folder}/"))
    config = load_config(tmp_path / f'kmeans_{direction}.py')
    assert config.train_dataloader.dataset.type == dataset
    assert config.default_hooks.cluster.labelers == [dict(type='KMeansLabeler', persons=persons)]
    assert Path(config.filename).stem == f'kmeans_{direction}'


@pytest.mark.parametrize('page', sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob('*.md')))
def test_code_on_pages_is_python(page):
    for block in python_blocks(page):
        compile(block, page, 'exec')


def test_examples_in_docstrings_are_true():
    modules = [
        importlib.import_module('.'.join(path.relative_to(PACKAGE.parent).with_suffix('').parts))
        for path in sorted(PACKAGE.rglob('*.py'))
        if '>>> ' in path.read_text(encoding='utf-8')
    ]
    results = [doctest.testmod(module, extraglobs={'np': numpy, 'torch': torch}) for module in modules]
    assert sum(result.attempted for result in results) >= 9
    assert [m.__name__ for m, result in zip(modules, results, strict=True) if result.failed] == []


def test_links_between_pages_lead_somewhere():
    for path in [*DOCS.rglob('*.md'), *(DOCS.parent / name for name in ('README.md', 'CONTRIBUTING.md'))]:
        for target in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', path.read_text(encoding='utf-8')):
            assert (path.parent / target).exists(), f'{path.name}: {target}'


def test_no_page_has_a_placeholder():
    for path in [*DOCS.rglob('*.md'), *DOCS.parent.glob('*.md')]:
        assert '@@' not in path.read_text(encoding='utf-8'), path.name
