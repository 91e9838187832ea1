"""Which file of a chain of configs names the source stage; which names files set and read."""

import logging
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from dscreid.apis.config import load_config
from dscreid.apis.config_files import assigned_names, names_without_effect
from dscreid.utils.shipped import split_direction

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ('name', 'source_file'),
    [
        ('dsc/dsc_bupt2hitsz', 'stp_bupt.py'),
        ('resnet50/ng_resnet50_hitsz2bupt', 'bclu_resnet50_hitsz2bupt.py'),
        ('baselines/pgm_demo', 'bclu_demo.py'),
    ],
)
def test_a_shipped_config_finds_its_source_from_another_folder(name, source_file, write):
    path = CONFIGS / f'{name}.py'
    file, direction = split_direction(path)
    leaf = write('elsewhere/leaf.py', f'_base_ = {str(file)!r}\nrandomness = dict(seed=3)\n')
    leaf = leaf.with_name(f'leaf_{direction}.py') if direction else leaf
    source = load_config(leaf).source.config
    assert source == load_config(path).source.config
    assert Path(source).name == source_file
    assert load_config(source).get('direction') == direction


@pytest.mark.parametrize(('middle', 'leaf', 'expected'), [
    ('', '', 'base/s.py'),
    ("source = dict(checkpoint='w.pth')", '', 'base/s.py'),
    ("source = dict(config='s.py')", '', 'middle/s.py'),
    ("source = dict(config='s.py')", "source = {'config': '../s.py'}", 's.py'),
    ("source = dict(_base_.source)\nsource['config'] = 's.py'", "source = dict(checkpoint='x.pth')", 'middle/s.py'),
])  # fmt: skip
def test_the_file_that_names_the_source_decides(write, tmp_path, middle, leaf, expected):
    write('base/b.py', "source = dict(config='s.py', checkpoint=None)")
    write('middle/m.py', f"_base_ = ['../base/b.py']\n{middle}\n")
    path = write('leaf/l.py', f"_base_ = '../middle/m.py'\n{leaf}\n")
    assert load_config(path).source.config == str(tmp_path / expected)


def test_on_the_command_line_it_is_relative_to_the_current_folder(write, tmp_path, monkeypatch):
    path = write('leaf/l.py', "source = dict(config='s.py', checkpoint=None)")
    monkeypatch.chdir(tmp_path)
    assert load_config(path, {'source.config': 'new/t.py'}).source.config == str(tmp_path / 'new/t.py')
    assert load_config(path, {'source': {'config': '/x/t.py'}}).source.config == '/x/t.py'
    assert load_config(path, {'source.checkpoint': 'x.pth'}).source.config == str(tmp_path / 'leaf/s.py')


def test_other_formats(write, tmp_path):
    write('base/b.yaml', 'source: {config: s.py}\nnote: 1\n')
    path = write('l.py', "_base_ = 'base/b.yaml'\nrandomness = dict(seed='{{_base_.note}}')\n")
    assert [name for _, name in names_without_effect(path)] == ['randomness', 'source']
    assert assigned_names(tmp_path / 'base/b.yaml') == {'source', 'note'}
    write('c.yaml', '_base_: base/b.yaml\nlog_level: INFO\n')
    assert load_config(write('l.py', "_base_ = 'c.yaml'\nnote = None")).source.config == str(tmp_path / 'base/s.py')


@pytest.mark.parametrize(('text', 'unread'), [
    ('a = 1\nb = [a]\nc = b', ['c']),
    ('a, b = 1, 2\ndef f():\n    return a', ['b']),
    ("a = 1\nb = globals()['a']", []),
    ('import os\nfor a in range(3):\n    pass\nb: int = 2\nb += 1', ['b']),
    ("a = '{{ fileDirname }}'", ['a']),
    ("a = {{$X:3}}", []),  # not Python before MMEngine replaces it
    ('a = _base_.a', ['a']),
])  # fmt: skip
def test_names_that_a_file_sets_and_does_not_read(write, text, unread):
    assert [name for _, name in names_without_effect(write('a.py', text))] == unread


def test_only_the_line_about_the_direction_is_silenced(write, monkeypatch):
    logger, lines = MMLogger.get_current_instance(), []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    try:
        load_config('baselines/bclu_demo')
        assert lines == []
        monkeypatch.setenv('OWN_LEVEL', 'INFO')
        load_config(write('a.py', "log_level = '{{$OWN_LEVEL:DEBUG}}'"))
    finally:
        logger.removeHandler(handler)
    assert [line.startswith('Using env variable `OWN_LEVEL`') for line in lines] == [True]
