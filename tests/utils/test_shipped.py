"""Configs by short name and weights of the package, from any folder."""

import os
from pathlib import Path

import mmengine
import pytest

from dscreid.apis import find_config, load_config, shipped_configs
from dscreid.errors import CheckpointError, ConfigError
from dscreid.evaluation.protocols import find_protocol
from dscreid.models.backbones import CLIPVisionTransformer
from dscreid.utils.checkpoint import load_weights, sha256
from dscreid.utils.shipped import DIRECTION, chosen_direction, locate_weights, shipped_folder, split_direction
from dscreid.visualization import paper_table

ENCODER_SHA256 = '8d05a49d82858fada7be371a2c3e387ac1419639b5357d3d5b2ca97366b07415'


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize('name', ['dsc/dsc_bupt2hitsz', 'dsc/dsc_bupt2hitsz.py', Path('dsc/dsc_bupt2hitsz')])
def test_short_names(name):
    assert find_config(name) == shipped_configs() / 'dsc' / 'dsc_bupt2hitsz.py'


def test_an_existing_file_comes_first(empty_folder):
    own = empty_folder / 'dsc' / 'dsc_bupt2hitsz.py'
    own.parent.mkdir()
    own.write_text('')
    assert find_config('dsc/dsc_bupt2hitsz.py') == Path('dsc/dsc_bupt2hitsz.py')
    assert find_config('dsc/dsc_bupt2hitsz') == shipped_configs() / 'dsc' / 'dsc_bupt2hitsz.py'


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('dsc/dsc_bupt2hits', "; did you mean 'dsc/dsc_bupt2hitsz'?"),
        ('configs/dsc/dsc_bupt2hitsz.py', "; did you mean 'dsc/dsc_bupt2hitsz'?"),
        ('zzz', ''),
        ('../setup', ''),
        ('a\0b', ''),
    ],
)
def test_an_unknown_name_is_one_sentence(name, hint):
    with pytest.raises(ConfigError) as error:
        find_config(name)
    expected = f'{name}: no such config file, and no shipped config has this name{hint}'
    assert str(error.value) == expected


def test_bases_and_source_of_a_short_name_are_found():
    config = load_config('dsc/dsc_bupt2hitsz')
    assert config.model.type == 'AdaptiveReID'  # from _base_
    assert Path(config.source.config) == shipped_configs() / 'source' / 'stp_bupt.py'


def test_the_encoder_of_the_demo_is_found_from_any_folder(monkeypatch):
    monkeypatch.delenv('DSCREID_SYNTHETIC_ENCODER', raising=False)
    name = load_config('source/stp_demo').model.backbone.tower.pretrained
    assert name == 'dscreid://synthetic_encoder.safetensors'
    assert sha256(locate_weights(name)) == ENCODER_SHA256
    assert len(load_weights(locate_weights(name))) > 50


def test_other_names_of_weights_are_paths():
    assert locate_weights('weights/ViT-B-16.pt') == 'weights/ViT-B-16.pt'
    with pytest.raises(CheckpointError, match=r'dscreid://gone\.pt: pretrained weights not found'):
        CLIPVisionTransformer(pretrained='dscreid://gone.pt', layers=1).init_weights()


def test_model_index_names_files_that_exist():
    index = mmengine.load(shipped_folder() / 'model-index.yml')
    assert index['Import']
    for name in index['Import']:
        content = mmengine.load(shipped_folder() / name)
        assert all(collection['Name'] and collection['Paper']['Title'] for collection in content['Collections'])
        for model in content['Models']:
            assert (shipped_folder() / model['Config']).is_file()
            for result in model['Results']:
                if 'Published' in result:  # image data sets: ours are empty until someone runs them
                    assert result['Metrics'] == {}
                    assert find_protocol(result['Protocol'])
                    assert all(0 < value < 100 for value in result['Published'].values())
                    continue
                # no weights for real data exist yet: such figures are those that the paper prints
                assert result['Dataset'].startswith(('synthetic ', 'printed, '))
                if result['Dataset'].startswith('printed, '):
                    number = int(result['Dataset'].removeprefix('printed, Table ')[0])
                    (row,) = [row for row in paper_table(number).rows if row.method == model['Name']]
                    assert result['Metrics'] == {key: round(100 * value, 1) for key, value in row.metrics.items()}


@pytest.mark.parametrize(
    ('name', 'file', 'direction'),
    [
        ('baselines/gur_hitsz2bupt', 'gur', 'hitsz2bupt'),
        # the longest file name that fits
        ('baselines/bclu_second_stage_demo', 'bclu_second_stage', 'demo'),
        ('baselines/bclu_demo_short', 'bclu', 'demo_short'),
        ('resnet50/adca_resnet50_demo', 'adca_resnet50', 'demo'),
        ('images/adca_first_sysu_mm01', 'adca_first', 'sysu_mm01'),
        # an existing file, a file without directions, and no file
        ('dsc/dsc_bupt2hitsz', 'dsc_bupt2hitsz', None),
        ('source/stp_bupt_demo', 'stp_bupt_demo', None),
        ('baselines/nothing_demo', 'nothing_demo', None),
    ],
)
def test_names_of_experiments_are_split(name, file, direction):
    path = shipped_configs() / f'{name}.py'
    assert split_direction(path) == (path.with_name(f'{file}.py'), direction)


def test_a_direction_is_chosen_inside_the_block_only(monkeypatch):
    monkeypatch.setenv(DIRECTION, 'mine')
    with chosen_direction('demo'):
        assert os.environ[DIRECTION] == 'demo'
        with chosen_direction(None):
            assert os.environ[DIRECTION] == 'demo'
    assert os.environ[DIRECTION] == 'mine'
    monkeypatch.delenv(DIRECTION)
    with pytest.raises(KeyError), chosen_direction('demo'):
        raise KeyError
    assert DIRECTION not in os.environ


def test_source_stages_follow_the_direction():
    config = load_config('resnet50/adca_resnet50_hitsz2bupt')
    stage = load_config(config.source.config)
    assert [Path(c.filename).stem for c in (config, stage)] == [
        'adca_resnet50_hitsz2bupt',
        'bclu_resnet50_hitsz2bupt',
    ]
    assert Path(stage.source.config).name == 'resnet50_hitsz.py'


def test_a_base_with_a_direction_is_explained(empty_folder):
    base = shipped_configs() / 'baselines' / 'gur_demo.py'
    (empty_folder / 'mine.py').write_text(f'_base_ = {str(base)!r}\n')
    with pytest.raises(ConfigError, match=r'gur\.py exists once for all directions; .* use your config as mine_demo'):
        load_config('mine.py')
    with pytest.raises(ConfigError, match=r"no direction 'somewhere'; known are bupt2hitsz, demo, demo_efficientnet, "):
        load_config('baselines/gur_somewhere')
