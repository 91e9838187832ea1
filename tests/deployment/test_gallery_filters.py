import argparse
from datetime import datetime, timedelta, timezone

import pytest

from dscreid.deployment.gallery_conditions import END, Compared
from dscreid.deployment.gallery_filters import Filters, add_filters, filters_of, parse_age, parse_threshold
from dscreid.errors import ConfigError
from dscreid.structures import Modality


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_filters(parser)
    return filters_of(parser.parse_args(words))


def test_options_become_filters():
    found = parsed(
        '--camera', 'gate', 'yard', '--modality', 'ir', '--from', '2026-03-01', '--to', '2026-03-02T08:30:00'
    )
    times = datetime(2026, 3, 1), datetime(2026, 3, 2, 8, 30)
    assert found == Filters(('gate', 'yard'), Modality.IR, *times)
    assert found.describe() == ('infrared, camera gate or yard, from 2026-03-01 00:00:00, to 2026-03-02 08:30:00')
    assert parsed() == Filters()
    assert Filters().condition() is None
    assert Filters().describe() == ''


def test_a_malformed_time_is_a_mistake_of_the_command_line(capsys):
    with pytest.raises(SystemExit):
        parsed('--from', 'yesterday')
    assert "'yesterday' is not a time such as 2026-03-01T08:30:00" in capsys.readouterr().err


def test_bounds_that_no_time_meets_are_refused():
    with pytest.raises(ConfigError, match='is before --from'):
        parsed('--from', '2026-03-02', '--to', '2026-03-01')
    with pytest.raises(ConfigError, match='both with or both without a time zone'):
        parsed('--from', '2026-03-01', '--to', '2026-03-02T00:00:00+01:00')


@pytest.mark.parametrize(
    ('text', 'age'), [('30d', timedelta(days=30)), ('12h', timedelta(hours=12)), ('1.5w', timedelta(days=10.5))]
)
def test_ages(text, age):
    assert parse_age(text) == age


@pytest.mark.parametrize('text', ['', '30', 'd', '-1d', '30 days', '1e3d'])
def test_malformed_ages(text):
    with pytest.raises(ValueError, match='is not an age such as 30d'):
        parse_age(text)


def test_thresholds():
    assert parse_threshold('1e-3') == ('rate', 0.001)
    assert parse_threshold('similarity=0.8') == ('similarity', 0.8)
    assert parse_threshold('similarity=-.5') == ('similarity', -0.5)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('x', 'neither a false-match rate such as 1e-3'),
        ('similarity=', 'neither'),
        ('1.2.3', 'neither'),
        ('rate=3', 'neither'),
        ('0', 'between 0 and 1, got 0'),
        ('1.5', 'or write similarity=1.5'),
    ],
)
def test_malformed_thresholds(text, message):
    with pytest.raises(ValueError, match=message):
        parse_threshold(text)


def test_times_with_a_zone_are_compared_in_utc():
    zone = timezone(timedelta(hours=2))
    found = Filters(start=datetime(2026, 3, 1, 1, tzinfo=zone)).condition()
    assert found == Compared(END, '>=', datetime(2026, 2, 28, 23))
