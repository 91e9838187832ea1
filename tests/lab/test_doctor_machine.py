"""The doctor's list of packages."""

import re
from importlib.metadata import requires

import pytest

from dscreid.lab.dataset_checks import Severity
from dscreid.lab.doctor import machine
from dscreid.lab.doctor.machine import check_machine, collect_versions


def test_every_requirement_is_listed():
    required = {re.match(r'[\w.-]+', line)[0] for line in requires('dscreid') if 'extra' not in line}
    facts, missing = collect_versions()
    # the Makefile replaces OpenCV by its headless wheel
    listed = {name.removesuffix('-headless') for name in (*facts, *missing)}
    assert listed == {'Python', *required}
    assert missing == []


def test_what_is_missing_breaks_it_unless_it_is_optional(tmp_path, monkeypatch):
    known = machine.version
    gone = set()

    def version(name):
        if name in gone:
            raise machine.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(machine, 'version', version)
    gone.add('simplejpeg')
    packages = check_machine(tmp_path)[0]
    assert packages.severity is Severity.OK
    assert 'simplejpeg missing (optional)' in packages.message
    gone.add('scipy')
    packages = check_machine(tmp_path)[0]
    assert packages.severity is Severity.BROKEN
    assert packages.message.endswith('; missing: scipy')


@pytest.mark.parametrize('below', ['file', 'file/runs'])
def test_runs_need_a_folder_that_can_be_written_to(tmp_path, below):
    def resources(folder):
        return next(finding for finding in check_machine(folder) if finding.check == 'resources')

    assert resources(tmp_path / 'new' / 'runs').severity is Severity.OK
    (tmp_path / 'file').touch()
    found = resources(tmp_path / below)
    assert found.severity is Severity.BROKEN
    assert found.message.endswith('which is not writable')
    assert '--work-dir' in found.remedy
