"""A wrong value anywhere in a config ends in one sentence, or is one that a run can use."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine import Config

from dscreid.apis.config_check import keys_that_are_read
from dscreid.apis.dry_run import plan_experiment
from dscreid.apis.train import RunOptions
from dscreid.errors import DscreidError

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
VALUES = ('nonsense', -1, None, [], {}, 2.5, True)


def places(node: Any, place: str) -> Iterator[str]:
    """Dotted keys of a value and all that it holds."""
    yield place
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, f'{place}.{key}')


@pytest.mark.slow
@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_wrong_value_anywhere(tiny_runs, data):
    config = Config.fromfile(tiny_runs.adapt).to_dict()
    read = [key for key in config if key in keys_that_are_read()]
    place = data.draw(st.sampled_from([place for key in read for place in places(config[key], key)]))
    value = data.draw(st.sampled_from(VALUES))
    options = RunOptions(config_options={place: value})
    with contextlib.suppress(DscreidError):
        assert 'tracklets of each set decoded and encoded' in plan_experiment(tiny_runs.adapt, options)
