import json
import shutil

import pytest
import torch
from full_disks import files_of_at_most
from mmengine import Config
from safetensors.torch import load_file, save_file

from dscreid.apis import init_model, load_config
from dscreid.deployment import TrackletInferencer, build_model, make_bundle, read_bundle
from dscreid.deployment.bundle import calibrated
from dscreid.deployment.export import FramesToFeatures
from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.reid import BaseReID
from dscreid.registry import MODELS
from dscreid.utils.checkpoint import load_weights

NOTES = dict(license='for tests only', training_data='rendered worlds')


@pytest.fixture
def copied(bundle, tmp_path):
    return read_bundle(shutil.copytree(bundle.folder, tmp_path / 'copy'))


def test_a_bundle_is_read_as_written(bundle):
    found = read_bundle(str(bundle.folder))
    assert found == bundle
    assert (found.name, found.license, found.training_data) == ('tiny_dsc', 'for tests only', 'rendered worlds')
    assert found.feature == {'size': 64, 'definition': bundle.feature['definition']}
    assert [step['type'] for step in found.pipeline] == ['SampleFrames', 'LoadFrames']
    assert found.calibration is None


@pytest.mark.parametrize('stage', ['source', 'adapt'])
def test_the_model_is_that_of_the_config(tiny_runs, tiny_experiment, tmp_path, stage):
    config, checkpoint = getattr(tiny_runs, stage), tiny_experiment.checkpoint
    bundle = make_bundle(config, checkpoint, tmp_path / 'out', **NOTES)
    frames = torch.rand(3, 2, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = init_model(config, checkpoint).rank_features(frames)
        found = build_model(bundle).rank_features(frames)
    assert torch.equal(found, expected)


def test_learned_tones_are_part_of_a_bundle(tiny_runs, tiny_experiment, tmp_path):
    config = load_config(tiny_runs.adapt, {'model.data_preprocessor.tones': dict(colors=4)})
    weights = load_weights(tiny_experiment.checkpoint)
    weights['data_preprocessor.tone_table'] = torch.rand(33, 33, 33, generator=torch.Generator().manual_seed(1))
    weights['data_preprocessor.knows_tones'] = torch.tensor(True)
    torch.save(dict(state_dict=weights), tmp_path / 'tones.pth')
    bundle = make_bundle(config, tmp_path / 'tones.pth', tmp_path / 'out', **NOTES)
    frames = torch.rand(3, 2, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = init_model(config, tmp_path / 'tones.pth').rank_features(frames, ['rgb', 'ir', 'rgb'])
        found = build_model(bundle).rank_features(frames, ['rgb', 'ir', 'rgb'])
        without = init_model(tiny_runs.adapt, tiny_experiment.checkpoint).rank_features(frames)
    assert torch.equal(found, expected)
    assert torch.equal(found[1], without[1])
    assert not torch.allclose(found[0], without[0], atol=1e-3)
    images = frames.mul(255).byte()
    inferencer = TrackletInferencer(bundle)
    with pytest.raises(ConfigError, match='needs the modality of each tracklet'):
        inferencer([images[0].movedim(1, -1).numpy()])
    with pytest.raises(ConfigError, match='cannot be exported'):
        FramesToFeatures(bundle)


def test_weights_hold_only_what_features_need(bundle):
    weights = load_file(bundle.folder / 'model.safetensors')
    assert {name.partition('.')[0] for name in weights} == {'backbone', 'static_neck', 'dynamic_neck'}
    assert 'pretrained' not in json.dumps(bundle.model)
    assert bundle.model['data_preprocessor']['augmentation'] is None


def test_the_fingerprint_tells_features_apart(bundle, copied, tiny_runs, tiny_experiment, tmp_path):
    assert copied.fingerprint == bundle.fingerprint
    assert calibrated(copied, {'1e-3': 0.5}).fingerprint == bundle.fingerprint
    assert read_bundle(copied.folder).calibration == {'1e-3': 0.5}
    flipped = make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, tmp_path / 'a', flip=True, name='x', **NOTES)
    source = make_bundle(tiny_runs.adapt, tiny_experiment.source_checkpoint, tmp_path / 'b', **NOTES)
    assert len({bundle.fingerprint, flipped.fingerprint, source.fingerprint}) == 3
    assert flipped.model['flip_test'] is True
    assert flipped.name == 'x'


def test_a_used_folder_and_empty_notes_are_refused(tiny_runs, tiny_experiment, tmp_path):
    (tmp_path / 'file').touch()
    for out in (tmp_path, tmp_path / 'file'):
        with pytest.raises(ConfigError, match='already exists; choose a new or empty folder'):
            make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, out, **NOTES)
    with pytest.raises(ConfigError, match='a bundle needs a license'):
        make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, tmp_path / 'a', **NOTES | {'license': ' '})
    assert not (tmp_path / 'a').exists()


def test_names_that_are_not_utf8_are_escaped(tiny_runs, tiny_experiment, tmp_path):
    notes = dict(license='own', training_data='caf\udce9, own cameras')
    make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, tmp_path / 'b', **notes)
    assert read_bundle(tmp_path / 'b').training_data == 'caf\\udce9, own cameras'


def test_a_full_disk_leaves_an_empty_folder(tiny_runs, tiny_experiment, tmp_path):
    notes = dict(license='own', training_data='x' * 10**6)  # more than the weights
    with files_of_at_most(800_000), pytest.raises(OSError, match=r'bundle\.json'):
        make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, tmp_path / 'b', **notes)
    assert list((tmp_path / 'b').iterdir()) == []
    make_bundle(tiny_runs.adapt, tiny_experiment.checkpoint, tmp_path / 'b', **notes)


def test_features_defined_in_code_are_refused(tiny_runs, tiny_experiment, tmp_path):
    @MODELS.register_module(force=True)
    class OwnFeatures(MODELS.get('AdaptiveReID')):
        def ranking_parts(self, inputs, modalities=None):
            return {}

    config = load_config(tiny_runs.adapt)
    config.model.type = 'OwnFeatures'
    with pytest.raises(ConfigError, match='OwnFeatures replaces ranking_parts of BaseReID'):
        make_bundle(config, tiny_experiment.checkpoint, tmp_path / 'out', **NOTES)
    assert BaseReID.ranking_parts is not OwnFeatures.ranking_parts


def test_other_pipelines_are_refused(tiny_runs, tiny_experiment, tmp_path):
    config = Config(load_config(tiny_runs.adapt).to_dict())
    config.test_dataloader.dataset.pipeline = [dict(type='LoadFrames')]
    with pytest.raises(ConfigError, match='the evaluation pipeline is LoadFrames; a bundle needs exactly'):
        make_bundle(config, tiny_experiment.checkpoint, tmp_path / 'out', **NOTES)


def rewrite(folder, more):
    path = folder / 'bundle.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda folder: shutil.rmtree(folder), 'contains no bundle.json, so it is not a model bundle'),
        (lambda folder: (folder / 'bundle.json').write_text('{'), 'is not a description of a model bundle'),
        (lambda folder: (folder / 'bundle.json').write_text('{}'), 'a format that this version does not know'),
        (lambda folder: (folder / 'bundle.json').write_text('{"format": 1}'), 'lacks calibration, custom_imports'),
        (lambda folder: rewrite(folder, {'extra': 1}), 'has unknown entries, extra; '),
        (lambda folder: (folder / 'model.safetensors').unlink(), 'missing, damaged, or from another bundle'),
        (lambda folder: (folder / 'model.safetensors').write_bytes(b'x'), 'missing, damaged, or from another bundle'),
    ],
)
def test_incomplete_bundles_are_named(copied, change, message):
    change(copied.folder)
    with pytest.raises(CheckpointError, match=message):
        read_bundle(copied.folder)


def edited(bundle, change):
    path = bundle.folder / 'bundle.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return read_bundle(bundle.folder)


def test_unknown_classes_and_foreign_weights_are_named(copied):
    unknown = edited(copied, lambda c: c['model']['backbone'].update(type='Mine') or c.update(custom_imports=['mine']))
    with pytest.raises(ConfigError, match=r'bundle\.json: class Mine is unknown; import mine first'):
        build_model(unknown)
    save_file({'backbone.x': torch.zeros(1)}, copied.folder / 'model.safetensors')
    from dscreid.utils.checkpoint import sha256

    found = edited(copied, lambda c: c.update(weights_sha256=sha256(copied.folder / 'model.safetensors')))
    with pytest.raises((CheckpointError, ConfigError)):
        build_model(found)
