"""Importing the package where OpenCV cannot be loaded."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize('module', ['dscreid', 'dscreid.registry', 'dscreid.apis.command_line'])
def test_opencv_without_its_libraries_is_one_sentence_with_the_cure(module, tmp_path):
    cause = 'libGL.so.1: cannot open shared object file: No such file or directory'
    (tmp_path / 'cv2').mkdir()
    (tmp_path / 'cv2' / '__init__.py').write_text(f'raise ImportError({cause!r})\n')
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    process = subprocess.run(
        [sys.executable, '-c', f'import {module}'],
        env=os.environ | {'PYTHONPATH': paths},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    assert process.stderr.count('Traceback') == 1
    sentence = process.stderr.splitlines()[-1]
    assert sentence.startswith(f'ImportError: OpenCV cannot be imported ({cause});')
    assert 'pip install --force-reinstall --no-deps "opencv-python-headless' in sentence
