"""The compose file of a Milvus server; nothing here starts it."""

import re
from pathlib import Path

import pytest
import yaml

FILE = Path(__file__).parents[1] / 'docker' / 'milvus-compose.yml'


@pytest.fixture
def compose():
    return yaml.safe_load(FILE.read_text(encoding='utf-8'))


def test_only_the_server_is_reachable_and_only_from_this_machine(compose):
    ports = {name: service.get('ports', []) for name, service in compose['services'].items()}
    assert ports == {'etcd': [], 'minio': [], 'milvus': ['127.0.0.1:19530:19530']}


def test_passwords_are_wanted_and_none_is_in_the_file(compose):
    environment = compose['services']['milvus']['environment']
    assert environment['COMMON_SECURITY_AUTHORIZATIONENABLED'] == 'true'
    passwords = [environment['COMMON_SECURITY_DEFAULTROOTPASSWORD'], environment['MINIO_SECRET_ACCESS_KEY']]
    passwords.append(compose['services']['minio']['environment']['MINIO_ROOT_PASSWORD'])
    assert all(re.match(r'\$\{(MILVUS|MINIO)_PASSWORD:\?', password) for password in passwords)
    assert environment['MINIO_ACCESS_KEY_ID'] == compose['services']['minio']['environment']['MINIO_ROOT_USER']


def test_services_fit_together(compose):
    services = compose['services']
    environment = services['milvus']['environment']
    for variable in ('ETCD_ENDPOINTS', 'MINIO_ADDRESS'):
        assert environment[variable].partition(':')[0] in services
    assert services['milvus']['depends_on'].keys() == services.keys() - {'milvus'}
    for service in services.values():
        assert re.fullmatch(r'[\w./-]+:[\w.-]*\d[\w.-]*', service['image'])
        assert service['healthcheck']['test'][0] == 'CMD'
        (volume,) = service['volumes']
        assert volume.partition(':')[0] in compose['volumes']
    values = [value for service in services.values() for value in service['environment'].values()]
    assert all(isinstance(value, str) for value in values)
