"""The image protocols as a function: against an independent reading, and on a dozen pictures computed on paper."""

import numpy as np
import pytest
import torch
from oracles import image_protocol_oracle as oracle

from dscreid.errors import ConfigError, DatasetError, EvaluationError
from dscreid.evaluation import ReIDMetric, evaluate_image_protocol
from dscreid.structures import ReIDDataSample


def _world(seed, folders, people=12, most=14, whole_numbers=False):
    """Vectors by name FOLDER/PERSON/NUMBER.jpg; not every person is in every folder. Whole numbers make ties."""
    rng = np.random.default_rng(seed)
    features = {}
    for pid in rng.choice(500, people, replace=False):
        for folder in folders:
            for number in range(rng.integers(0, most)):
                vector = rng.integers(-1, 2, 3).astype(float) if whole_numbers else rng.normal(size=6)
                features[f'{folder}/{pid:04d}/{number + 1:04d}.jpg'] = vector
    return features


def _arrays(features, seed=0):
    names = [str(name) for name in np.random.default_rng(seed).permutation(list(features))]
    pids, cameras = zip(*map(oracle.facts_of, names), strict=True)
    return np.stack([features[name] for name in names]), pids, cameras, names


SYSU = [f'cam{camera}' for camera in range(1, 7)]
LLCM = [f'test_vis/cam{c}' for c in range(1, 10)] + [f'test_nir/cam{c}' for c in range(1, 10) if c != 3]


@pytest.mark.parametrize('whole_numbers', [False, True])
@pytest.mark.parametrize(
    ('mode', 'shots', 'name'), [('all', 1, 'single'), ('indoor', 1, 'single'), ('all', 10, 'multi')]
)
def test_sysu_mm01_equals_the_oracle(mode, shots, name, whole_numbers):
    people, most = (9, 6) if shots == 1 else (3, 24)
    features = _world(3, SYSU, people, most, whole_numbers)
    found = evaluate_image_protocol(f'sysu_mm01_{mode}_{name}', *_arrays(features))
    assert found == pytest.approx(oracle.sysu(features, mode, shots), abs=1e-12)
    assert 0 < found['mAP std'] < found['Rank-1'] < found['Rank-5']


@pytest.mark.parametrize(('query', 'name'), [('vis', 'llcm_vis2nir'), ('nir', 'llcm_nir2vis')])
def test_llcm_equals_the_oracle(query, name):
    features = _world(4, LLCM, people=6, most=4)
    found = evaluate_image_protocol(name, *_arrays(features), ranks=(1, 2, 3))
    assert found == pytest.approx(oracle.llcm(features, query, (1, 2, 3)), abs=1e-12)


@pytest.mark.parametrize('query', ['visible', 'thermal'])
def test_regdb_equals_the_oracle(query):
    rng = np.random.default_rng(5)
    features = {
        f'{folder}/cam{camera}/{pid:04d}/{n}.bmp': rng.normal(size=5)
        for camera, folder in ((1, 'Visible'), (2, 'Thermal')) for pid in range(9) for n in range(rng.integers(1, 4))
    }  # fmt: skip
    other = {'visible': 'thermal', 'thermal': 'visible'}[query]
    sides = [[name for name in sorted(features) if name.startswith(side.title())] for side in (query, other)]
    expected = oracle.measure(features, *sides, lambda *_: False, (1, 5), count_persons=False)
    found = evaluate_image_protocol(f'regdb_{query}2{other}', *_arrays(features), ranks=(1, 5))
    assert found == pytest.approx(expected | {f'{name} std': 0 for name in expected}, abs=1e-12)
    values, pids, cameras, names = _arrays(features)
    bare = [name.partition('/')[2] for name in names]  # without a folder that tells the modality, the camera does
    assert evaluate_image_protocol(f'regdb_{query}2{other}', values, pids, cameras, bare, ranks=(1, 5)) == found


#: Pictures of the gallery; a query's feature is its similarity to each of them.
GALLERY = ('cam1/0001/1.jpg', 'cam2/0001/1.jpg', 'cam1/0002/1.jpg', 'cam4/0002/1.jpg', 'cam2/0003/1.jpg')
QUERIES = {
    'cam3/0001/1.jpg': (0.5, 0.9, 0.8, 0.7, 0.95),  # without camera 2: persons 2 2 1
    'cam6/0001/1.jpg': (0.6, 0.1, 0.5, 0.9, 0.2),  # persons 2 1 2 3 1
    'cam3/0003/1.jpg': (0.1, 0.2, 0.3, 0.4, 0.5),  # person 3 is only under camera 2: not counted
    'cam6/0003/1.jpg': (0.6, 0.7, 0.1, 0.2, 0.5),  # persons 1 1 3 2 2
    'cam6/0002/1.jpg': (0.1, 0.1, 0.9, 0.8, 0.1),  # persons 2 2 ...
}
PAPER = {**dict(zip(GALLERY, np.eye(5), strict=True)), **{name: np.array(row) for name, row in QUERIES.items()}}


def test_sysu_mm01_on_paper():
    found = evaluate_image_protocol('sysu_mm01_all_single', *_arrays(PAPER), ranks=(1, 2))
    # ranks of the first match among persons: 2, 2, -, 2, 1 (among pictures they are 3, 2, -, 3, 1)
    expected = {'Rank-1': 1 / 4, 'Rank-2': 1.0}
    expected['mAP'] = (1 / 3 + (1 / 2 + 2 / 5) / 2 + 1 / 3 + 1) / 4
    expected['mINP'] = (1 / 3 + 2 / 5 + 1 / 3 + 1) / 4
    assert found == pytest.approx(expected | {f'{name} std': 0 for name in expected})


def test_sysu_mm01_indoor_on_paper():
    found = evaluate_image_protocol('sysu_mm01_indoor_single', *_arrays(PAPER), ranks=(1, 2))
    # without camera 4: persons 2 1 | 1 2 3 1 | - | 1 1 3 | 2
    expected = {'Rank-1': 2 / 4, 'Rank-2': 1.0, 'mAP': (1 / 2 + (1 + 2 / 4) / 2 + 1 / 3 + 1) / 4}
    expected['mINP'] = (1 / 2 + 2 / 4 + 1 / 3 + 1) / 4
    assert found == pytest.approx(expected | {f'{name} std': 0 for name in expected})


def test_the_spread_of_two_pictures_on_paper():
    # a right and a wrong picture of person 1; the trials draw one or the other
    features = {
        'cam1/0001/1.jpg': [1.0], 'cam1/0001/2.jpg': [0.2], 'cam1/0002/1.jpg': [0.5], 'cam6/0001/1.jpg': [1.0],
    }  # fmt: skip
    features = {name: np.array(vector) for name, vector in features.items()}
    second = [oracle.drawn_names(features, {1}, ('cam1',), trial) == ['cam1/0001/2.jpg'] for trial in range(10)]
    share = 1 - sum(second) / 10
    assert 0 < share < 1
    found = evaluate_image_protocol('sysu_mm01_all_single', *_arrays(features), ranks=(1,))
    assert found['Rank-1'] == pytest.approx(share)
    assert found['mAP'] == pytest.approx((1 + share) / 2)
    assert found['Rank-1 std'] == pytest.approx((share * (1 - share)) ** 0.5)


def test_any_order_and_kind_of_array_gives_the_same():
    features = _world(6, SYSU, people=6, whole_numbers=True)
    one = evaluate_image_protocol('sysu_mm01_all_single', *_arrays(features, seed=1))
    values, pids, cameras, names = _arrays(features, seed=2)
    facts = torch.tensor(pids), np.array(cameras), tuple(names)
    assert evaluate_image_protocol('sysu_mm01_all_single', torch.from_numpy(values).float(), *facts) == one


def test_the_metric_measures_the_same():
    features = _world(7, SYSU, people=8, most=6)
    values, pids, cameras, names = _arrays(features)
    order = sorted(range(len(names)), key=names.__getitem__)
    metric = ReIDMetric(protocol='sysu_mm01_all_single')
    for index, row in enumerate(order):
        sample = ReIDDataSample(metainfo=dict(
            index=index, pid=pids[row], camera=cameras[row], modality='ir' if cameras[row] in (3, 6) else 'rgb',
            is_query=False,
        ))  # fmt: skip
        sample.feature = torch.from_numpy(values[row])
        metric.process({}, [sample])
    found = metric.evaluate(len(names))
    expected = evaluate_image_protocol('sysu_mm01_all_single', values.astype(np.float32), pids, cameras, names)
    for name, value in expected.items():
        key = f'{name.removesuffix(" std")}{"_std" if name.endswith(" std") else ""}'
        assert found[f'ir2rgb/{key}'] == pytest.approx(value, abs=1e-6)
    assert found['mean/mAP'] == found['ir2rgb/mAP']
    assert 'mean/mAP_std' not in found


def test_refusals():
    arrays = _arrays(PAPER)
    with pytest.raises(ConfigError, match='hitsz_vcm is not a protocol of an image data set'):
        evaluate_image_protocol('hitsz_vcm', *arrays)
    with pytest.raises(ConfigError, match=r"unknown evaluation protocol 'sysu_mm01'"):
        evaluate_image_protocol('sysu_mm01', *arrays)
    with pytest.raises(ConfigError, match='regdb has the directions rgb2ir and ir2rgb; choose a protocol of one'):
        evaluate_image_protocol('regdb', np.eye(2), [1, 1], [1, 2], ['Visible/a', 'Thermal/a'])
    with pytest.raises(ValueError, match='differ in length: 10, 9, 10, 10'):
        evaluate_image_protocol('sysu_mm01_all_single', arrays[0], arrays[1][1:], *arrays[2:])
    with pytest.raises(ValueError, match='two pictures have one name'):
        evaluate_image_protocol('sysu_mm01_all_single', *arrays[:3], ['cam1/0001/1.jpg'] * 10)
    with pytest.raises(ValueError, match='camera 3: neither tells the modality that llcm_vis2nir needs'):
        evaluate_image_protocol('llcm_vis2nir', np.eye(1), [1], [3], ['cam3/0001/1.jpg'])
    with pytest.raises(ValueError, match='camera 7: neither tells the modality'):
        evaluate_image_protocol('sysu_mm01_all_single', np.eye(1), [1], [7], ['cam7/0001/1.jpg'])
    broken = arrays[0].copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match='finite'):
        evaluate_image_protocol('sysu_mm01_all_single', broken, *arrays[1:])
    strangers = {name: vector for name, vector in PAPER.items() if name in ('cam1/0001/1.jpg', 'cam6/0003/1.jpg')}
    with pytest.raises(EvaluationError, match='none of the 1 queries has a true match'):
        evaluate_image_protocol('sysu_mm01_all_single', *_arrays(strangers))
    with pytest.raises(DatasetError, match='finds no query tracklet'):
        evaluate_image_protocol('sysu_mm01_all_single', np.zeros((0, 2)), [], [], [])
