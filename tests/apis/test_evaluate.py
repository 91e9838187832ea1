import json

import numpy as np
import pytest
from tiny_runs import infrared_queries

from dscreid.apis import evaluate, load_config
from dscreid.apis.test import unique_name, write_json
from dscreid.evaluation import load_features

pytestmark = pytest.mark.usefixtures('one_thread_throughout')


def test_metrics_and_features_are_those_of_the_run(tiny_runs, tiny_experiment, tmp_path):
    config = load_config(tiny_runs.adapt)
    before = config.to_dict()
    out, dump = tmp_path / 'out' / 'metrics.json', tmp_path / 'features.safetensors'
    metrics = evaluate(config, tiny_experiment.checkpoint, tmp_path / 'log', out=out, dump_features=dump)
    written = json.loads(out.read_text())
    rankings = written.pop('rankings')
    assert metrics == tiny_experiment.metrics == written
    assert rankings['neck_both'] == metrics  # of the config; see tests/evaluation for the others
    assert len(rankings) == 7
    assert config.to_dict() == before
    features = load_features(dump)
    assert len(features) == 24
    assert features.feature.shape == (24, 64)
    reference = load_features(tiny_experiment.work_dir / 'features.safetensors')
    assert np.array_equal(features.feature, reference.feature)


def test_flip_and_protocol(tiny_runs, tiny_experiment, tmp_path):
    dump = tmp_path / 'features.safetensors'
    root = infrared_queries(tiny_runs.bupt, tmp_path / 'bupt')
    metrics = evaluate(
        load_config(tiny_runs.source, {'data_root': str(root)}),
        tiny_experiment.source_checkpoint,
        tmp_path,
        protocol='hitsz_vcm',
        flip=True,
        dump_features=dump,
    )
    assert 'rgb2ir/mAP' in metrics
    assert 'rgb2rgb/mAP' not in metrics  # which the config's own protocol measures
    plain = load_features(tiny_experiment.work_dir / 'features.safetensors')
    flipped = load_features(dump)
    assert np.allclose(np.linalg.norm(flipped.feature, axis=1) ** 2, 2, atol=1e-5)
    assert flipped.feature.shape == plain.feature.shape


def test_flip_changes_the_features(tiny_runs, tiny_experiment, tmp_path):
    dump = tmp_path / 'features.safetensors'
    config = load_config(tiny_runs.adapt)
    evaluate(config, tiny_experiment.checkpoint, tmp_path, flip=True, dump_features=dump)
    plain = load_features(tiny_experiment.work_dir / 'features.safetensors')
    assert not np.allclose(load_features(dump).feature, plain.feature, atol=1e-4)


def test_a_config_without_test_set(tiny_runs, tiny_experiment, tmp_path):
    config, out = load_config(tiny_runs.adapt, {'test_dataloader': None}), tmp_path / 'metrics.json'
    before = config.to_dict()
    result = evaluate(config, tiny_experiment.checkpoint, tmp_path / 'log', out=out, note=dict(why='a note'))
    assert result == {}
    assert result.reason == 'the config has no test set (test_dataloader is None)'
    assert result.features is None
    assert json.loads(out.read_text()) == {'evaluated': False, 'reason': result.reason, 'why': 'a note'}
    assert config.to_dict() == before


def test_json_is_written_as_a_whole(tmp_path):
    path = tmp_path / 'deep' / 'a.json'
    write_json(path, dict(a=1))
    with pytest.raises(TypeError):
        write_json(path, dict(a=object()))
    assert json.loads(path.read_text()) == dict(a=1)
    assert list(path.parent.iterdir()) == [path]


def test_names_differ(tmp_path):
    assert unique_name('runs/dsc').startswith('dsc_')
    assert unique_name('dsc') != unique_name('dsc')
