import base64
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from galleries import made_up_bundle

from dscreid.deployment import TrackletInferencer, open_gallery
from dscreid.deployment.gallery_filters import Filters
from dscreid.deployment.gallery_rows import Entry
from dscreid.deployment.query_part import PixelBox
from dscreid.deployment.search import (
    SearchSettings,
    answers_page,
    answers_text,
    rate_text,
    search,
    text_table,
    thresholds_of,
    time_text,
)
from dscreid.errors import ConfigError, DatasetError
from dscreid.structures import Modality

pytest.importorskip('lancedb')

RGB, IR = Modality.RGB, Modality.IR


def calibration(**thresholds):
    lines = [dict(pair=pair.replace('_', '-'), rate=rate, threshold=value)
             for pair, table in thresholds.items() for rate, value in table.items()]  # fmt: skip
    return {'thresholds': lines}


CALIBRATED = calibration(rgb_rgb={0.1: 0.5, 0.01: 0.9}, ir_ir={0.1: 0.6, 0.01: 0.8}, rgb_ir={0.1: 0.3})


@pytest.fixture(scope='module')
def inferencer(bundle):
    return TrackletInferencer(bundle)


@pytest.fixture(scope='module')
def own(tmp_path_factory):
    """Folders of pictures: gate_rgb/0 to gate_rgb/3 and yard_ir/0 to yard_ir/3."""
    root = tmp_path_factory.mktemp('own')
    rng = np.random.default_rng(0)
    for camera in ('gate_rgb', 'yard_ir'):
        for number in range(4):
            (root / camera / str(number)).mkdir(parents=True)
            base = cv2.resize(rng.integers(0, 256, (8, 4, 3), dtype=np.uint8), (32, 64))
            for frame in range(3):
                cv2.imwrite(str(root / camera / str(number) / f'{frame}.png'), base)
    return root


@pytest.fixture(scope='module')
def gallery(own, inferencer, tmp_path_factory):
    made = open_gallery(tmp_path_factory.mktemp('gallery') / 'g', inferencer.bundle, create=True)
    folders = sorted(own.glob('*/*'))
    entries = [
        Entry(f'{one.parent.name}/{one.name}', one.parent.name.partition('_')[0],
              Modality(one.parent.name.partition('_')[2]), str(one), datetime(2026, 3, 1, int(one.name)), None,
              (one / '1.png').read_bytes() if one.name != '3' else None)
        for one in folders
    ]  # fmt: skip
    made.add(entries, inferencer(folders, progress=False))
    return made


def found(answer):
    return [hit.entry.tracklet for hit in answer.hits]


def test_a_copy_of_a_tracklet_finds_it_first(gallery, inferencer, own, tmp_path):
    (tmp_path / 'copy').mkdir()
    for path in (own / 'gate_rgb/2').iterdir():
        (tmp_path / 'copy' / path.name).write_bytes(path.read_bytes())
    queries = [tmp_path / 'copy', tmp_path / 'copy/0.png']
    answers = search(gallery, inferencer, queries, SearchSettings(top=3))
    for answer, query in zip(answers, queries, strict=True):
        assert answer.query == query
        assert answer.modality is None
        assert found(answer)[0] == 'gate_rgb/2'
        assert len(answer.hits) == 3
        similarity = [hit.similarity for hit in answer.hits]
        assert similarity == sorted(similarity, reverse=True)
    # all pictures of the tracklet are alike
    assert answers[1].hits[0].similarity == pytest.approx(1, abs=1e-5)


def test_a_tracklet_of_the_gallery_is_no_answer_to_itself(gallery, inferencer, own):
    (answer,) = search(gallery, inferencer, [own / 'gate_rgb/2'], SearchSettings())
    assert answer.modality is RGB
    assert len(answer.hits) == 7
    assert 'gate_rgb/2' not in found(answer)


def test_filters(gallery, inferencer, own):
    settings = SearchSettings(Filters(modality=IR, start=datetime(2026, 3, 1, 2)))
    (answer,) = search(gallery, inferencer, [own / 'gate_rgb/2'], settings)
    assert set(found(answer)) == {'yard_ir/2', 'yard_ir/3'}


@pytest.mark.parametrize('modality', [None, RGB, IR])
def test_a_similarity_as_threshold(gallery, inferencer, own, modality):
    filters = Filters(modality=modality)
    (everything,) = search(gallery, inferencer, [own / 'yard_ir/0'], SearchSettings(filters))
    middle = everything.hits[2].similarity
    settings = SearchSettings(filters, threshold=('similarity', middle))
    (answer,) = search(gallery, inferencer, [own / 'yard_ir/0'], settings)
    assert answer.hits == everything.hits[:2]
    (answer,) = search(gallery, inferencer, [own / 'yard_ir/0'], replace(settings, top=1))
    assert answer.hits == everything.hits[:1]


def test_a_rate_has_a_threshold_for_each_pair_of_modalities(gallery, own, bundle):
    (everything,) = search(gallery, TrackletInferencer(bundle), [own / 'gate_rgb/0'], SearchSettings())
    # no visible tracklet is similar enough, all infrared ones are
    table = calibration(rgb_rgb={0.01: 1.1}, rgb_ir={0.01: -1.1})
    inferencer = TrackletInferencer(replace(bundle, calibration=table))
    (answer,) = search(gallery, inferencer, [own / 'gate_rgb/0'], SearchSettings(threshold=('rate', 0.01), top=2))
    infrared = [hit for hit in everything.hits if hit.entry.modality is IR]
    assert answer.hits == infrared[:2]


def test_a_rate_needs_a_calibration_and_the_modality_of_the_query(gallery, inferencer, own, bundle):
    settings = SearchSettings(threshold=('rate', 0.01))
    with pytest.raises(ConfigError, match='is not calibrated, so a false-match rate has no meaning'):
        search(gallery, inferencer, [own / 'gate_rgb/0'], settings)
    calibrated = TrackletInferencer(replace(bundle, calibration=CALIBRATED))
    with pytest.raises(ConfigError, match='depends on the modality of the query; give --query-modality'):
        search(gallery, calibrated, [own / 'gate_rgb/0/0.png'], settings)
    with pytest.raises(ConfigError, match=r'rate of 0.01 for rgb-.* \(known rates: 0.1\)'):
        search(gallery, calibrated, [own / 'gate_rgb/0/0.png'], replace(settings, modality=RGB))


def test_thresholds_and_rates_of_a_calibration():
    bundle = made_up_bundle(calibration=CALIBRATED)
    assert thresholds_of(('rate', 0.1), bundle, RGB) == {RGB: 0.5, IR: 0.3}
    assert thresholds_of(('rate', 0.1), bundle, IR) == {RGB: 0.3, IR: 0.6}
    assert thresholds_of(('similarity', 0.7), bundle, None) == {RGB: 0.7, IR: 0.7}
    assert thresholds_of(None, bundle, None) == {}
    assert [rate_text(one, bundle, RGB, RGB) for one in (0.4, 0.5, 0.6, 0.95)] == ['-', '-', '0.1', '0.01']
    assert rate_text(0.95, bundle, None, RGB) == rate_text(0.95, made_up_bundle(), RGB, RGB) == '-'


def test_a_query_that_is_missing(gallery, inferencer, own):
    with pytest.raises(DatasetError, match='absent: does not exist'):
        search(gallery, inferencer, [own / 'absent'], SearchSettings())


def test_answers_as_text(gallery, inferencer, own, bundle):
    answers = search(gallery, inferencer, [own / 'gate_rgb/2'], SearchSettings(top=2))
    lines = answers_text(answers, SearchSettings(), bundle).splitlines()
    assert lines[0] == str(own / 'gate_rgb/2')
    assert lines[1].split() == ['rank', 'similarity', 'tracklet', 'camera', 'time', 'folder']
    hit = answers[0].hits[0]
    assert lines[2].split()[:3] == ['1', f'{hit.similarity:.3f}', hit.entry.tracklet]
    assert lines[2].endswith(hit.entry.folder)
    calibrated = answers_text(answers, SearchSettings(), replace(bundle, calibration=CALIBRATED))
    assert calibrated.splitlines()[1].split()[:3] == ['rank', 'similarity', 'rate']


def test_no_match_is_an_answer(gallery, inferencer, own, bundle):
    settings = SearchSettings(threshold=('similarity', 1.5))
    answers = search(gallery, inferencer, [own / 'gate_rgb/2'], settings)
    sentence = 'no match: no tracklet has a similarity above 1.5'
    assert answers_text(answers, settings, bundle) == f'{own / "gate_rgb/2"}\n{sentence}\n'
    assert sentence.capitalize() in answers_page(answers, settings, gallery, bundle)
    nowhere = SearchSettings(Filters(cameras=['absent']))
    answers = search(gallery, inferencer, [own / 'gate_rgb/2'], nowhere)
    assert 'no match: no tracklet meets the conditions' in answers_text(answers, nowhere, bundle)


def test_the_page_shows_pictures_and_escapes_names(gallery, inferencer, own, bundle, tmp_path):
    query = tmp_path / '<b>'
    query.mkdir()
    (query / '0.png').write_bytes((own / 'gate_rgb/0/0.png').read_bytes())
    settings = SearchSettings(Filters(cameras=['gate']))
    answers = search(gallery, inferencer, [query], settings)
    page = answers_page(answers, settings, gallery, bundle)
    assert '&lt;b&gt;' in page
    assert '<b>' not in page
    pictures = [base64.b64decode(one) for one in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)]
    # the query, and three answers; the fourth tracklet has none
    assert len(pictures) == 4
    assert cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR).shape == (64, 32, 3)
    assert set(pictures[1:]) == {(own / f'gate_rgb/{number}/1.png').read_bytes() for number in range(3)}
    assert page.count('no picture') == 1
    assert 'camera gate' in page
    assert 'http' not in page


def test_a_video_with_a_box_finds_its_person_and_the_page_shows_the_crops(gallery, inferencer, own, bundle, tmp_path):
    person = cv2.imread(str(own / 'yard_ir/1/0.png'))
    writer = cv2.VideoWriter(str(tmp_path / 'clip.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, (160, 120))
    for number in range(12):
        frame = np.full((120, 160, 3), 20 * number, np.uint8)
        frame[40:104, 100:132] = person
        writer.write(frame)
    writer.release()
    settings = SearchSettings(top=2, box=PixelBox(100, 40, 32, 64), frames=range(3, 8))
    (answer,) = search(gallery, inferencer, [tmp_path / 'clip.avi'], settings)
    assert found(answer)[0] == 'yard_ir/1'
    assert answer.hits[0].similarity > answer.hits[1].similarity
    assert [crop.shape for crop in answer.frames] == [(64, 32, 3)] * 5
    page = answers_page([answer], settings, gallery, bundle)
    assert '5 pictures' in page
    query = base64.b64decode(re.search(r'src="data:image/jpeg;base64,([^"]+)"', page)[1])
    shown = cv2.imdecode(np.frombuffer(query, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (64, 4 * 32, 3)
    for number in range(4):
        assert np.abs(shown[:, 32 * number : 32 * number + 32].astype(int) - person).mean() < 20


def test_tables_and_times():
    assert text_table(['a', 'bcd'], [['long', '1'], ['x', '2']]) == 'a     bcd\nlong  1\nx     2'
    start = datetime(2026, 3, 1, 8)
    assert time_text(start, None) == '2026-03-01 08:00:00'
    assert time_text(start, start) == '2026-03-01 08:00:00 to 2026-03-01 08:00:00'
    assert time_text(None, None) == '-'


def test_modality_by_the_name_of_the_folder(gallery, inferencer, own, tmp_path):
    (tmp_path / 'door_ir/7').mkdir(parents=True)
    picture = tmp_path / 'door_ir/7/0.png'
    picture.write_bytes(Path(own / 'yard_ir/0/0.png').read_bytes())
    answers = search(gallery, inferencer, [tmp_path / 'door_ir/7', picture], SearchSettings())
    assert [answer.modality for answer in answers] == [IR, None]
    (answer,) = search(gallery, inferencer, [picture], SearchSettings(modality=RGB))
    assert answer.modality is RGB
