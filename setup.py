"""Packaging of dscreid; the dependency lists live in ``requirements/``."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def read_requirements(name: str) -> list[str]:
    """Requirement lines of one file in ``requirements/``, comments and blank lines left out."""
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith('#')]


def read_optional(package: str) -> list[str]:
    """The lines of ``requirements/optional.txt`` that belong to one package."""
    return [line for line in read_requirements('optional.txt') if line.startswith(package)]


def read_version() -> str:
    """The version string of ``dscreid/version.py``, without importing the package."""
    namespace: dict[str, str] = {}
    exec((ROOT / 'dscreid' / 'version.py').read_text(), namespace)
    return namespace['__version__']


class BuildWithTools(build_py):
    """Copy configs and tools into the wheel, to ``dscreid/.mim`` as OpenMMLab's packages do.

    Nothing is written to the checkout. An editable installation uses the checkout's own folders.
    """

    def run(self) -> None:
        """Copy the modules, then configs and tools."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib, 'dscreid', '.mim')
        shutil.rmtree(mim, ignore_errors=True)  # of an earlier build
        # benchmarks need the tests' folder
        left_out = shutil.ignore_patterns('__pycache__', 'benchmarks')
        for folder in ('configs', 'tools'):
            shutil.copytree(ROOT / folder, mim / folder, ignore=left_out)
        shutil.copy(ROOT / 'model-index.yml', mim)


setup(
    name='dscreid',
    version=read_version(),
    description='Dynamic-static collaboration for unsupervised domain adaptive video-based '
    'visible-infrared person re-identification',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['dscreid', 'dscreid.*']),
    package_data={
        'dscreid': ['py.typed', 'weights/*.safetensors'],
        'dscreid.deployment.web': ['page.html'],
        'dscreid.visualization': ['templates/*', '*.csv'],
    },
    entry_points={'console_scripts': ['dscreid = dscreid.__main__:main']},
    cmdclass={'build_py': BuildWithTools},
    python_requires='>=3.10,<3.15',
    install_requires=read_requirements('runtime.txt'),
    extras_require={
        'gpu': read_optional('faiss'),
        'tables': read_optional('pyarrow'),
        'export': read_optional('onnx'),
        'gallery': read_optional('lancedb') + read_optional('pyarrow'),
        'milvus': read_optional('pymilvus'),
        'serve': read_optional('fastapi') + read_optional('uvicorn') + read_optional('python-multipart'),
        'dev': read_requirements('tests.txt'),
    },
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Programming Language :: Python :: 3.14',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)
