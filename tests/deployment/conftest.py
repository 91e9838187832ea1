import itertools

import pytest

from dscreid.apis import load_config
from dscreid.deployment import make_bundle

NOTES = dict(license='for tests only', training_data='rendered worlds')


@pytest.fixture(scope='session')
def bundle(tiny_runs, tiny_experiment, tmp_path_factory):
    """A bundle of the tiny adapted model; nobody may change it."""
    out = tmp_path_factory.mktemp('bundle') / 'tiny'
    return make_bundle(load_config(tiny_runs.adapt), tiny_experiment.checkpoint, out, **NOTES)


_numbers = itertools.count()


@pytest.fixture(scope='module', params=['folder', 'server'])
def new_place(request, tmp_path_factory):
    """A function that returns a new place for a gallery, in a folder or on a Milvus server."""
    if request.param == 'folder':
        pytest.importorskip('lancedb')
        return lambda: str(tmp_path_factory.mktemp('place') / 'g')
    server = request.getfixturevalue('milvus_server')
    return lambda: f'{server}/g{next(_numbers)}'
