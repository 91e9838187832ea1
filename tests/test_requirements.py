"""Requirements, pins and the versions of Python that they serve."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
SETUP = (REPOSITORY / 'setup.py').read_text()
LOWEST, ABOVE = map(int, re.search(r"python_requires='>=3\.(\d+),<3\.(\d+)'", SETUP).groups())
PYTHONS = [f'3.{minor}' for minor in range(LOWEST, ABOVE)]


def read(name: str) -> list[Requirement]:
    lines = (REPOSITORY / 'requirements' / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith('#')]


def applying(requirements: list[Requirement], python: str) -> list[Requirement]:
    """Requirements whose marker holds on one Python, on Linux."""
    system = default_environment() | {'sys_platform': 'linux', 'platform_system': 'Linux', 'extra': ''}
    environment = system | {'python_version': python, 'python_full_version': f'{python}.1'}
    return [one for one in requirements if one.marker is None or one.marker.evaluate(environment)]


def pins_by_name(python: str) -> dict[str, list[str]]:
    pins = defaultdict(list)
    for pin in applying(read('constraints.txt'), python):
        (specifier,) = pin.specifier
        assert specifier.operator == '==', pin
        pins[canonicalize_name(pin.name)].append(specifier.version)
    return pins


@pytest.mark.parametrize('python', PYTHONS)
def test_each_requirement_has_one_pin_within_its_range(python):
    pins = pins_by_name(python)
    for requirement in applying(read('runtime.txt') + read('tests.txt'), python):
        (version,) = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize('python', PYTHONS)
def test_no_package_has_two_pins(python):
    assert [name for name, versions in pins_by_name(python).items() if len(versions) != 1] == []


@pytest.mark.parametrize('python', PYTHONS)
def test_headless_opencv_is_of_the_version_that_it_replaces(python):
    pins = pins_by_name(python)
    assert pins['opencv-python-headless'] == pins['opencv-python']


def test_classifiers_and_the_matrix_of_ci_name_the_supported_pythons():
    workflow = yaml.safe_load((REPOSITORY / '.github' / 'workflows' / 'ci.yml').read_text())
    assert workflow['jobs']['test']['strategy']['matrix']['python-version'] == PYTHONS
    assert re.findall(r'Programming Language :: Python :: (3\.\d+)', SETUP) == PYTHONS
