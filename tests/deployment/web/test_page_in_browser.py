"""The page as users see it, in headless Chromium. Needs PyPI's playwright and a Chromium of the system."""

import re
import shutil
import socket
import threading
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from galleries import entry, made_up_bundle

pytest.importorskip('lancedb')
pytest.importorskip('fastapi')
pytest.importorskip('uvicorn')
pytest.importorskip('playwright')

import uvicorn
from playwright.sync_api import expect, sync_playwright
from web_pictures import Colors, jpeg

from dscreid.deployment import open_gallery
from dscreid.deployment.marks import labeled_pairs, marks_file, read_marks
from dscreid.deployment.web.app import make_app

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'google-chrome', 'chromium-browser'))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason='Chromium is not installed (on Debian: apt install chromium)'),
]

TOKEN = 'a-token-for-these-tests-only'
CALIBRATION = {
    'thresholds': [{'pair': pair, 'rate': 0.01, 'threshold': 0.97} for pair in ('rgb-rgb', 'rgb-ir', 'ir-ir')]
}
DESK = dict(viewport={'width': 1280, 'height': 800})
PHONE = dict(viewport={'width': 390, 'height': 844}, has_touch=True, is_mobile=True, device_scale_factor=2)


@pytest.fixture(scope='module')
def browser():
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM)
        yield chromium
        chromium.close()


@contextmanager
def serving(app):
    """Serve an application at a free port of this machine."""
    with socket.create_server(('127.0.0.1', 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level='warning', timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={'sockets': [listening]})
        thread.start()
        try:
            yield f'http://127.0.0.1:{listening.getsockname()[1]}'
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def visit(browser, gallery, inferencer):
    """Opens the page of the gallery; at the end, nothing may have gone wrong in the browser."""
    problems, foreign = [], []

    @contextmanager
    def visiting(refusals=0, token=None, model=inferencer, **device):
        context = browser.new_context(locale='en-US', reduced_motion='reduce', **(device or DESK))
        context.set_default_timeout(15_000)
        with serving(make_app(gallery, model, token)) as address:
            page = context.new_page()
            page.on('console', lambda told: problems.append(told.text) if told.type in ('error', 'warning') else None)
            page.on('pageerror', lambda error: problems.append(str(error)))
            page.on('request', lambda sent: None if own(sent.url, address) else foreign.append(sent.url))
            page.goto(address)
            yield page
            context.close()
        expected = [text for text in problems if re.search(r'status of 4\d\d', text)]
        assert [text for text in problems if text not in expected] == []
        assert len(expected) == refusals, expected
        assert foreign == []

    return visiting


def own(url, address):
    return url.startswith((f'{address}/', 'data:', f'blob:{address}/'))


def cards(page):
    return page.locator('#output li.card')


def shows(page, *names):
    """Wait until these tracklets are shown, in this order."""
    expect(cards(page).locator('.name')).to_have_text(list(names))


def first(page):
    """Name of the first shown tracklet."""
    return cards(page).first.locator('.name')


def card(page, name):
    return cards(page).filter(has=page.get_by_text(name, exact=True))


def search(page, name):
    card(page, name).get_by_role('button', name='search this').click()
    expect(page.locator('.query h2')).to_have_text(name)


def feature_of(color):
    return Colors.feature(color)[None]


def heading(page):
    return page.locator('#output .bar h2')


def button(page, name):
    return page.get_by_role('button', name=name, exact=True)


def upload(page, *files):
    """Choose files, of (name, content)."""
    button(page, 'Upload').click()
    chosen = [{'name': name, 'mimeType': kind(name), 'buffer': content} for name, content in files]
    page.set_input_files('#files', chosen)


def kind(name):
    return {'jpg': 'image/jpeg', 'png': 'image/png', 'webm': 'video/webm', 'mp4': 'video/mp4'}[name.split('.')[-1]]


def drag(page, start, end):
    """Draw on the preview with the mouse from one corner to the other, in shares of its size."""
    page.locator('#preview').scroll_into_view_if_needed()
    area = page.locator('#preview').bounding_box()
    places = [(area['x'] + x * area['width'], area['y'] + y * area['height']) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def two_persons(colors):
    """Red on the left, green on the right."""
    image = np.full((120, 160, 3), colors['green'], np.uint8)
    image[:, :80] = colors['red']
    return cv2.imencode('.png', image[..., ::-1])[1].tobytes()


# search


def test_from_the_list_to_answers_and_back(visit, colors):
    with visit() as page:
        expect(page).to_have_title('gallery · dscreid')
        shows(page, *colors)
        expect(heading(page)).to_have_text('Tracklets 1 to 4 of 4')
        for image in page.get_by_role('img').all():
            expect(image).to_have_js_property('complete', True)
            assert image.evaluate('one => one.naturalWidth')
        search(page, 'red')
        expect(heading(page)).to_have_text('3 answers, best first')
        expect(first(page)).to_have_text('dark red')
        scores = [float(re.match(r'\d\. (\S+)', one.inner_text())[1]) for one in page.locator('.facts strong').all()]
        assert scores == sorted(scores, reverse=True)
        expect(card(page, 'red')).to_have_count(0)
        search(page, 'dark red')
        expect(first(page)).to_have_text('red')
        button(page, 'All tracklets').click()
        shows(page, *colors)


def test_frames_move_until_paused(visit):
    with visit() as page:
        expect(button(page, 'Move pictures')).to_be_visible()  # this user wants less motion
        image = page.get_by_alt_text('green')
        image.scroll_into_view_if_needed()
        assert image.evaluate('one => one.style.transform') == ''
        button(page, 'Move pictures').click()
        expect(image).to_have_attribute('style', re.compile('transform'))
        button(page, 'Pause pictures').click()
        before = image.evaluate('one => one.style.transform')
        page.wait_for_timeout(500)
        assert image.evaluate('one => one.style.transform') == before


def test_conditions(visit):
    with visit() as page:
        expect(cards(page)).to_have_count(4)
        page.get_by_label('Name contains').fill('RED')
        page.keyboard.press('Enter')
        shows(page, 'red', 'dark red')
        page.get_by_label('c1').check()
        button(page, 'List tracklets').click()
        shows(page, 'dark red')
        page.get_by_label('c1').uncheck()
        page.get_by_label('Name contains').fill('')
        page.locator('[name=modality][value=ir]').check()
        button(page, 'List tracklets').click()
        shows(page, 'dark red', 'blue/ü')
        page.get_by_label('from').fill('2026-03-01T01:45:00')
        button(page, 'List tracklets').click()
        shows(page, 'blue/ü')
        page.locator('[name=modality][value=""]').check()
        page.get_by_label('to', exact=True).fill('2026-03-01T02:00:00')
        button(page, 'List tracklets').click()
        shows(page, 'green')
        search(page, 'green')
        expect(page.locator('#output')).to_contain_text('No match: no tracklet meets the conditions.')


def test_conditions_that_make_no_sense_are_one_sentence(visit):
    with visit(refusals=1) as page:
        expect(cards(page)).to_have_count(4)
        page.get_by_label('from').press_sequentially('03012026')  # no time of day
        button(page, 'List tracklets').click()
        expect(page.get_by_role('alert')).to_have_text('Give date and time of "from", or clear it.')
        page.get_by_label('from').fill('2026-03-02T00:00:00')
        page.get_by_label('to', exact=True).fill('2026-03-01T00:00:00')
        button(page, 'List tracklets').click()
        expect(page.get_by_role('alert')).to_have_text('the time "to" is before the time "from"')
        page.get_by_label('from').fill('')
        page.get_by_label('Matches').select_option('similarity')
        page.get_by_label('above').fill('2')
        card(page, 'red').get_by_role('button', name='search this').click()
        expect(page.get_by_role('alert')).to_have_text('Give a similarity from -1 to 1.')
        page.get_by_label('above').fill('0.1')
        card(page, 'red').get_by_role('button', name='search this').click()
        expect(page.get_by_role('alert')).to_be_hidden()


def test_no_match_is_an_answer(visit):
    with visit(model=Colors(made_up_bundle(calibration=CALIBRATION))) as page:
        page.get_by_label('Matches').select_option('false matches ≤ 0.01')
        search(page, 'red')
        shows(page, 'dark red')
        expect(cards(page)).to_contain_text('false matches ≤ 0.01')
        page.get_by_label('Matches').select_option('similarity')
        page.get_by_label('above').fill('0.9999')
        button(page, 'Search').click()
        expect(heading(page)).to_have_text('No match')
        expect(page.locator('#output')).to_contain_text('No match: no tracklet has a similarity above 0.9999.')
        expect(cards(page)).to_have_count(0)


def test_a_long_list_has_parts(visit, gallery):
    more = [entry(number, tracklet=f'more {number:02d}', thumbnail=None) for number in range(10, 80)]
    gallery.add(more, np.stack([Colors.feature((number, 9, 9)) for number in range(10, 80)]))
    picture = jpeg((9, 9, 9))
    with visit() as page:
        page.route('**/api/moving-picture*', lambda route: route.fulfill(body=picture, content_type='image/jpeg'))
        page.reload()
        expect(heading(page)).to_have_text('Tracklets 1 to 60 of 74')
        button(page, 'Later').last.click()
        expect(heading(page)).to_have_text('Tracklets 61 to 74 of 74')
        expect(heading(page)).to_be_in_viewport()
        expect(cards(page)).to_have_count(14)
        expect(button(page, 'Later').first).to_be_disabled()
        button(page, 'Earlier').first.click()
        expect(heading(page)).to_have_text('Tracklets 1 to 60 of 74')


# uploads


def test_a_box_is_drawn_around_the_person(visit, colors, inferencer):
    with visit() as page:
        upload(page, ('x.png', two_persons(colors)))
        drag(page, (0.05, 0.1), (0.45, 0.9))
        page.locator('[name=query_modality][value=ir]').check()
        button(page, 'Search').click()
        expect(page.locator('.query h2')).to_have_text('Your upload')
        expect(first(page)).to_have_text('red')
        drag(page, (0.95, 0.9), (0.55, 0.1))
        button(page, 'Search').click()
        expect(first(page)).to_have_text('green')
        drag(page, (0.5, 0.5), (0.501, 0.501))  # a click takes the box away
        expect(page.locator('#box')).to_be_hidden()
    (((left,),), modalities), (((right,),), _) = inferencer.asked
    assert modalities == ['ir']
    assert left.shape[:2] == pytest.approx((96, 64), abs=2)
    assert (left == colors['red']).all()
    assert (right == colors['green']).all()


def test_pictures_are_sent_in_the_order_of_their_names(visit, colors, inferencer):
    with visit() as page:
        upload(page, *((f'{number}.png', jpeg((number, 9, 9), suffix='.png')) for number in (10, 9, 100)))
        button(page, 'Search').click()
        expect(cards(page)).to_have_count(4)
    ((frames,), _) = inferencer.asked[0]
    assert [frame[0, 0, 0] for frame in frames] == [9, 10, 100]


def test_a_video_has_a_preview(visit, colors, tmp_path):
    path = str(tmp_path / 'x.webm')
    video = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*'VP80'), 10, (160, 120))
    frame = cv2.imdecode(np.frombuffer(two_persons(colors), np.uint8), cv2.IMREAD_COLOR)
    for _ in range(5):
        video.write(frame)
    video.release()
    with visit() as page:
        button(page, 'Upload').click()
        page.set_input_files('#files', path)
        expect(page.locator('#preview video')).to_be_visible()
        drag(page, (0.6, 0.1), (0.9, 0.9))
        button(page, 'Search').click()
        expect(first(page)).to_have_text('green')


def test_what_is_no_query_is_one_sentence(visit, colors, tmp_path):
    large = tmp_path / 'large.mp4'
    with large.open('wb') as file:
        file.truncate(100_000_000)
    picture = jpeg(colors['red'])
    video = b'\x00\x00\x00\x18ftypmp42' + bytes(500)
    wrong = [
        (
            [('text.jpg', b'no picture')],
            'text.jpg is neither a JPEG, PNG or WebP picture nor a video; convert it first',
        ),
        ([('empty.jpg', b'')], 'empty.jpg is empty; choose another one'),
        ([('a.jpg', picture), ('cut.jpg', picture[:100])], 'cut.jpg is not a complete picture; choose another one'),
        ([('broken.mp4', video)], 'the video has no readable frame; convert it to MP4 (H.264)'),
        ([('broken.mp4', video), ('a.jpg', picture)], 'choose one video, or only pictures'),
    ]
    with visit(refusals=len(wrong)) as page:
        expect(cards(page)).to_have_count(4)
        for files, sentence in wrong:
            upload(page, *files)
            button(page, 'Search').click()
            expect(page.get_by_role('alert')).to_have_text(sentence)
            expect(button(page, 'Search')).to_be_enabled()
        page.set_input_files('#files', large)
        button(page, 'Search').click()
        expect(page.get_by_role('alert')).to_have_text('Choose files of at most 64 MB together.')
        page.set_input_files('#files', [])
        button(page, 'Search').click()
        expect(page.get_by_role('alert')).to_have_text('Choose pictures, or a video.')
        upload(page, *((f'{number}.jpg', picture) for number in range(33)))
        button(page, 'Search').click()
        expect(page.get_by_role('alert')).to_have_text('Choose at most 32 files.')
        upload(page, ('a.jpg', picture))
        button(page, 'Search').click()
        expect(first(page)).to_have_text('red')
        expect(page.get_by_role('alert')).to_be_hidden()


# marks


def test_marks_are_kept_and_taken_back(visit, gallery, inferencer):
    def kept():
        pairs = labeled_pairs(marks_file(gallery.place), inferencer.bundle.fingerprint)
        return {one.tracklet: one.same for one in pairs if one.query == 'red'}

    def pressed(name):
        """What is marked, and that the buttons are ready again."""
        buttons = [card(page, name).get_by_role('button', name=word) for word in ('right', 'wrong')]
        for one in buttons:
            expect(one).to_be_enabled()
        return [one.get_attribute('aria-pressed') == 'true' for one in buttons]

    with visit() as page:
        search(page, 'red')
        card(page, 'dark red').get_by_role('button', name='right').click()
        assert pressed('dark red') == [True, False]
        card(page, 'green').get_by_role('button', name='wrong').click()
        assert pressed('green') == [False, True]
        assert kept() == {'dark red': True, 'green': False}
        card(page, 'green').get_by_role('button', name='wrong').click()
        assert pressed('green') == [False, False]
        assert kept() == {'dark red': True}
        page.reload()
        search(page, 'red')
        assert pressed('dark red') == [True, False]
        card(page, 'dark red').get_by_role('button', name='wrong').click()
        assert pressed('dark red') == [False, True]
        assert kept() == {'dark red': False}


def test_an_answer_that_was_removed_meanwhile_cannot_be_marked(visit, gallery):
    with visit(refusals=1) as page:
        search(page, 'red')
        open_gallery(gallery.place).remove(['green'])
        card(page, 'green').get_by_role('button', name='right').click()
        expect(page.get_by_role('alert')).to_have_text('this tracklet is no longer in the gallery; choose another one')
        expect(page.get_by_role('alert')).to_be_in_viewport()
    assert read_marks(marks_file(gallery.place)) == []


# who may see it


def test_the_token_is_asked_for(visit):
    with visit(token=TOKEN, refusals=2) as page:
        token = page.get_by_label('Token')
        expect(token).to_be_focused()
        expect(page.locator('#app')).to_be_hidden()
        token.fill('wrong')
        button(page, 'Log in').click()
        expect(page.get_by_role('alert')).to_have_text('The token is wrong.')
        token.fill(TOKEN)
        page.keyboard.press('Enter')
        expect(cards(page)).to_have_count(4)
        expect(token).to_be_hidden()
        page.reload()
        expect(cards(page)).to_have_count(4)
        button(page, 'Log out').click()
        expect(token).to_be_visible()
        expect(token).to_have_value('')
        expect(page.locator('#output')).to_be_empty()


def test_names_are_text_and_foreign_scripts_do_not_run(visit, gallery):
    name = '<img src=x onerror="ran = 1"><script>ran = 1</script>'
    gallery.add([entry(8, tracklet=name, thumbnail=jpeg((9, 9, 9)))], feature_of((9, 9, 9)))
    with visit() as page:
        expect(card(page, name)).to_be_visible()
        search(page, name)
        assert page.evaluate('typeof ran') == 'undefined'


def test_the_policy_stops_scripts_and_requests_to_others(browser, gallery, inferencer):
    hostile = """async other => {
      document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = true'}));
      document.body.insertAdjacentHTML('beforeend', '<b onclick="window.ran = true"></b>');
      document.body.lastChild.click();
      const image = Object.assign(new Image(), {src: other});
      const shown = await new Promise(done => { image.onload = () => done(true); image.onerror = () => done(false); });
      return [window.ran, shown, await fetch(other).then(() => true, () => false)];
    }"""
    with serving(make_app(gallery, inferencer)) as address, serving(make_app(gallery, inferencer)) as other:
        page = browser.new_page()
        page.goto(address)
        picture = '/api/moving-picture?tracklet=red'
        assert page.evaluate(hostile, f'{other}{picture}') == [None, False, False]
        assert page.evaluate(f'fetch("{picture}").then(answer => answer.status)') == 200
        page.close()


# phones and keyboards


def touch(page, start, end):
    """Draw on the preview with a finger, slowly: a tap right after a fling does not count as one."""
    page.locator('#preview').scroll_into_view_if_needed()
    area = page.locator('#preview').bounding_box()
    session = page.context.new_cdp_session(page)
    for share in (*np.linspace(0, 1, 6), 1, 1):
        x, y = ((1 - share) * one + share * other for one, other in zip(start, end, strict=True))
        place = {'x': area['x'] + x * area['width'], 'y': area['y'] + y * area['height']}
        kind = 'touchMove' if share else 'touchStart'
        session.send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': [place]})
        page.wait_for_timeout(50)
    session.send('Input.dispatchTouchEvent', {'type': 'touchEnd', 'touchPoints': []})


def fits(page):
    """Nothing is wider than the screen, and everything to touch is high enough for a finger."""
    assert page.evaluate('document.documentElement.scrollWidth') <= page.viewport_size['width']
    for one in page.locator('button, select, summary, .chips label, input:not([type=radio], [type=checkbox])').all():
        if one.is_visible():
            area = one.bounding_box()
            assert area['height'] >= 40, one.inner_text()
            assert area['x'] >= 0
            assert area['x'] + area['width'] <= page.viewport_size['width']


def test_a_phone(visit, gallery, colors):
    long = 'a_very_long_name_of_a_tracklet_' * 4
    gallery.add([entry(8, tracklet=long, camera='camera ' * 12, thumbnail=jpeg((9, 9, 9)))], feature_of((9, 9, 9)))
    with visit(token=TOKEN, refusals=1, **PHONE) as page:
        fits(page)
        page.get_by_label('Token').fill(TOKEN)
        button(page, 'Log in').tap()
        expect(cards(page)).to_have_count(5)
        fits(page)
        page.get_by_text('Conditions').tap()
        page.get_by_label('c0').tap()
        page.locator('[name=modality][value=rgb]').tap()
        expect(page.locator('#chosen')).to_have_text('Conditions (2 given)')
        fits(page)
        button(page, 'List tracklets').tap()
        shows(page, 'red')
        page.get_by_label('c0').tap()
        page.locator('[name=modality][value=""]').tap()
        expect(page.locator('#chosen')).to_have_text('Conditions')
        card(page, 'red').get_by_role('button', name='search this').tap()
        expect(page.locator('.query h2')).to_be_in_viewport()
        fits(page)
        card(page, 'dark red').get_by_role('button', name='right').tap()
        expect(card(page, 'dark red').get_by_role('button', name='right')).to_have_attribute('aria-pressed', 'true')
        upload(page, ('x.png', two_persons(colors)))
        expect(page.locator('#preview img')).to_be_visible()
        touch(page, (0.6, 0.1), (0.95, 0.9))
        fits(page)
        button(page, 'Search').tap()
        expect(page.locator('.query h2')).to_have_text('Your upload')
        expect(first(page)).to_have_text('green')
        fits(page)
    assert len(read_marks(marks_file(gallery.place))) == 1


def test_the_keyboard_is_enough(visit, gallery):
    with visit() as page:
        expect(cards(page)).to_have_count(4)
        reached = []
        for _ in range(40):
            page.keyboard.press('Tab')
            focused = page.evaluate_handle('document.activeElement').as_element()
            reached.append(focused.evaluate('one => one.textContent.trim() || one.id || one.value'))
            assert focused.evaluate('one => one === document.body || getComputedStyle(one).outlineStyle') != 'none'
            if reached[-1] == 'search this':
                break
        order = ['Move pictures', 'Pick a tracklet', 'Upload', 'text', 'c0', 'c2', 'from', 'to', 'List tracklets']
        assert list(dict.fromkeys(one for one in reached if one in order)) == order
        assert reached[-1] == 'search this'
        page.keyboard.press('Enter')
        expect(page.locator('.query h2')).to_have_text('red')
        expect(page.locator('.query h2')).to_be_focused()
        page.keyboard.press('Tab')
        expect(button(page, 'All tracklets')).to_be_focused()
        page.keyboard.press('Tab')
        expect(cards(page).first.get_by_role('button', name='right')).to_be_focused()
        page.keyboard.press('Space')
        expect(cards(page).first.get_by_role('button', name='right')).to_have_attribute('aria-pressed', 'true')
        expect(cards(page).first.get_by_role('button', name='right')).to_be_focused()
    assert len(read_marks(marks_file(gallery.place))) == 1
