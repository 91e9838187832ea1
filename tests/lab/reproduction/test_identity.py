import re

from mmengine import Config

from dscreid.datasets.packing import pack, plan_packing
from dscreid.datasets.storage import FrameFormat
from dscreid.lab.reproduction.identity import (
    code_fingerprint,
    dataset_fingerprints,
    differences,
    git_revision,
    run_digest,
)
from dscreid.utils.config_difference import config_difference, effective_overrides

BASE = dict(config='c', seed=1, data={'world': 'w'}, code='r', sources={})


def package(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f'{name}.py').write_text(text)
    return folder


def test_comments_docstrings_and_layout_are_no_other_revision(tmp_path):
    first = package(tmp_path / 'a', module='"""Doc."""\ndef f(x):\n    """Doc."""\n    return x + 1  # why\n')
    second = package(tmp_path / 'b', module='"""Another."""\n\n\ndef f(x):\n    "Other."\n    return (x + 1)\n')
    assert code_fingerprint(first) == code_fingerprint(second)


def test_code_names_of_files_and_strings_are(tmp_path):
    original = package(tmp_path / 'a', module='x = "text"\n')
    for number, files in enumerate(
        [dict(module='x = "other"\n'), dict(renamed='x = "text"\n'), dict(module='x = 1\n')]
    ):
        assert code_fingerprint(package(tmp_path / str(number), **files)) != code_fingerprint(original)


def test_what_only_shows_results_does_not_count(tmp_path):
    first, second = package(tmp_path / 'a', module='x = 1\n'), package(tmp_path / 'b', module='x = 1\n')
    package(second / 'visualization', page='y = 2\n')
    package(second / 'lab' / 'reproduction', show='y = 2\n')
    package(second / '.mim' / 'configs', dsc='y = 3\n')  # of an installed package
    assert code_fingerprint(first) == code_fingerprint(second)
    package(second / 'models', loss='y = 2\n')
    assert code_fingerprint(first) != code_fingerprint(second)


def test_the_checkout_names_its_commit():
    revision = git_revision()
    assert revision is None or re.fullmatch('[0-9a-f]{40}(-dirty)?', revision)


def test_other_pixels_are_other_data(tiny_runs, tmp_path):
    formats = [FrameFormat((32, 16), encoding='raw', quality=None)]
    formats += [FrameFormat((32, 16), quality=quality) for quality in (90, 95)]
    roots = [tiny_runs.hitsz]
    for number, frame_format in enumerate(formats):
        roots.append(tmp_path / str(number))
        pack(plan_packing('hitsz', tiny_runs.hitsz, frame_format), roots[-1])
    found = []
    for root in roots:
        dataset = dict(type='HITSZVCM', root=str(root), split='test', expected_statistics=None)
        found.append(dataset_fingerprints(Config(dict(test_dataloader=dict(dataset=dataset))))['test'])
    assert found[0] == found[1]
    assert len(set(found[1:])) == 3


def test_differences_are_named():
    assert differences(BASE, BASE) == []
    assert differences(BASE, BASE | {'seed': 2, 'code': 's'}) == ['seed', 'code revision']
    assert differences(BASE, BASE | {'code': 's'}, accept_revision=True) == []


def test_differences_reach_through_the_sources():
    def on(source):
        return BASE | {'sources': {'stage': source}}

    assert differences(on(BASE), on(BASE | {'data': {}})) == ['data of its source stage']
    deep = differences(on(on(BASE)), on(on(BASE | {'config': 'd'})))
    assert deep == ['config of its source stage of its source stage']
    # the same revision throughout is said once
    assert differences(on(BASE), on(BASE | {'code': 's'}) | {'code': 's'}) == ['code revision']
    assert differences(BASE, on(BASE)) == [
        f'{part} of its source stage' for part in ('config', 'seed', 'data', 'code revision')
    ]


def test_the_digest_of_a_run_knows_how_it_is_tested_but_not_where():
    def digest_of(**changes):
        dataset = dict(type='HITSZVCM', root=changes.pop('root', 'a'))
        test = dict(dataset=dataset, num_workers=changes.pop('num_workers', 0))
        return run_digest(
            Config(dict(model=dict(a=1), test_dataloader=test, test_evaluator=dict(protocol='x')) | changes)
        )

    assert digest_of() == digest_of(root='b') == digest_of(num_workers=4)
    assert digest_of() != digest_of(test_evaluator=dict(protocol='y'))
    assert digest_of() != digest_of(test_evaluator=dict(protocol='x', rerank=dict(k1=20)))
    assert digest_of() != digest_of(model=dict(a=2))


def test_difference_of_configs():
    reference = Config(dict(a=1, b=dict(c=[dict(d=1), dict(d=2)]), same=(1, 2), data_root='x', gone=3))
    config = Config(dict(a=1, b=dict(c=[dict(d=1), dict(d=5)]), same=[1, 2], data_root='y', new=None))
    assert config_difference(reference, config) == {
        'b.c.1.d': [2, 5],
        'gone': [3, 'absent'],
        'new': ['absent', None],
    }


def test_overrides_that_change_nothing_do_not_count():
    config = Config(dict(a=dict(b=[dict(c=0.9)]), k=20))
    assert effective_overrides(config, {'a.b.0.c': 0.9, 'k': 20}) == {}
    assert effective_overrides(config, {'a.b.0.c': 0.8, 'k': 20, 'new': None}) == {
        'a.b.0.c': 0.8,
        'new': None,
    }
