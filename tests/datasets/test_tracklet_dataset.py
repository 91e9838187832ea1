import re

import numpy as np
import pytest

from dscreid.datasets import HITSZVCM, BUPTCampus
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Draw, Modality

PIPELINE = (
    {'type': 'SampleFrames', 'num_frames': 3, 'rule': 'segment_random'},
    {'type': 'LoadFrames', 'size': (16, 8)},
    {'type': 'PackTracklet'},
)


def load(root, **arguments):
    return HITSZVCM(root, 'train', expected_statistics=None, **arguments)


def test_one_modality(worlds):
    root = worlds.hitsz()
    both, infrared = load(root), load(root, modality='ir')
    assert [both.tracklets[i] for i in both.indices('ir')] == infrared.tracklets
    assert infrared.labels.tolist() == both.labels[both.indices(Modality.IR)].tolist()
    assert infrared.indices('rgb').size == 0
    assert infrared.indices('ir').dtype == np.int64
    assert infrared.read_ground_truth().tolist() == [t.pid for t in infrared.tracklets]
    with pytest.raises(ConfigError, match="got 'thermal'"):
        load(root, modality='thermal')


def test_labels_number_the_identities_before_the_modality_is_chosen(worlds, edit_line):
    root = worlds.hitsz(people=3, tracklets=1)
    edit_line(root / 'info/track_train_info.txt', 4, '1 40 52 2 1')  # person 2 has no visible tracklet
    names = root / 'info/train_name.txt'
    names.write_text(names.read_text().replace('0002M2', '0002M1'))
    visible = load(root, modality='rgb')
    assert visible.num_classes == 3
    assert visible.labels.tolist() == [0, 2]


def test_draws_carry_their_seed(worlds):
    dataset = load(worlds.hitsz(), pipeline=PIPELINE)
    first = dataset[Draw(3, 5)]
    again = dataset[Draw(3, 5)]
    assert first['data_samples'].seed == 5
    assert first['data_samples'].index == 3
    assert first['data_samples'].pid == dataset.tracklets[3].pid
    assert first['data_samples'].label == dataset.labels[3]
    assert first['inputs'].shape == (3, 3, 16, 8)
    assert (first['inputs'] == again['inputs']).all()
    assert any((dataset[Draw(3, s)]['inputs'] != first['inputs']).any() for s in range(5))
    assert (dataset[3]['inputs'] == dataset[Draw(3, 0)]['inputs']).all()
    assert dataset[np.int64(3)]['data_samples'].seed == 0


def test_an_unlabelled_item_has_no_pid(worlds):
    sample = load(worlds.hitsz(), pipeline=PIPELINE, labelled=False)[0]['data_samples']
    assert set(sample.metainfo_keys()) == {
        'index',
        'same_as',
        'modality',
        'camera',
        'length',
        'seed',
        'position',
        'is_query',
    }


def test_pipeline_takes_callables_and_leaves_configs_alone(worlds):
    config = {'type': 'SampleFrames', 'num_frames': 2}
    dataset = load(worlds.hitsz(), pipeline=[config, lambda results: results['frame_paths']])
    assert dataset[0] == (dataset.tracklets[0].frames[0], dataset.tracklets[0].frames[7])
    assert config == {'type': 'SampleFrames', 'num_frames': 2}


def test_no_attribute_of_an_unlabelled_split_holds_ids(worlds):
    dataset = load(worlds.hitsz(), labelled=False)
    dataset.tracklets = []  # frame paths hold what the owners put there
    assert set(vars(dataset)) == {
        'root', 'split', 'labelled', 'modality', 'min_seq_len', 'foreign_frames', 'pipeline', 'tracklets',
        'labels', 'num_classes', 'cameras', 'storage', '_is_rgb', '_fingerprint', 'on_bad_frame',
        'num_skipped_tracklets', '_bad_frames', '_substituted', 'same_as', 'wheres', 'repeats',
    }  # fmt: skip
    assert (dataset.labels, dataset.wheres, dataset.repeats) == (None, None, ())


def test_ground_truth_notices_a_changed_index(worlds):
    root = worlds.hitsz()
    dataset = load(root, labelled=False)
    names = root / 'info/train_name.txt'
    names.write_text(names.read_text().replace('T1F0.jpg', 'T1F1.jpg'))
    with pytest.raises(DatasetError, match='changed while in use'):
        dataset.read_ground_truth()


def test_a_missing_root_says_where_it_comes_from(tmp_path):
    with pytest.raises(DatasetError, match=r'none: the data root of BUPTCampus .*data_root=FOLDER.*data_paths.json'):
        BUPTCampus(tmp_path / 'none', 'train')
    with pytest.raises(DatasetError, match=r'environment variable.*track_train_info'):
        HITSZVCM(tmp_path / 'none', 'train')


def test_an_empty_root_names_the_missing_file(tmp_path):
    with pytest.raises(DatasetError, match=r'track_train_info.txt is missing'):
        HITSZVCM(tmp_path, 'train')
    with pytest.raises(DatasetError, match=r'data_paths.json: the index file is missing'):
        BUPTCampus(tmp_path, 'train')


def test_a_split_without_tracklets_is_refused(worlds):
    with pytest.raises(DatasetError, match=r"split 'train' has no tracklet of at least 50 frames"):
        load(worlds.hitsz(), min_seq_len=50)


def test_statistics_choice_is_checked(worlds):
    with pytest.raises(ConfigError, match=r"expected_statistics must be one of \('published', None\), got 'paper'"):
        HITSZVCM(worlds.hitsz(), 'train', expected_statistics='paper')


def test_the_log_holds_table_and_fingerprint(worlds, logged):
    dataset = load(worlds.hitsz())
    assert len(logged) == 1
    title, header, *rows = logged[0].splitlines()
    assert title.startswith('HITSZVCM train (labeled) in ')
    assert title.endswith(dataset.fingerprint())
    assert header.split() == ['identities', 'tracklets', 'queries', 'frames', 'cameras', 'frames/tracklet']
    assert rows[2].split() == ['all', '3', '12', '0', '156', '2', '13-13']
    load(dataset.root, labelled=False)
    assert re.search(r'rgb +- +6 ', logged[1])


def test_metainfo_is_a_fresh_dict(worlds):
    dataset = load(worlds.hitsz())
    dataset.metainfo['split'] = 'other'
    assert dataset.metainfo == {
        'dataset': 'hitsz_vcm',
        'split': 'train',
        'fingerprint': dataset.fingerprint(),
    }
