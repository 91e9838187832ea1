"""Packaging of dscreid; the dependency lists live in ``requirements/``."""

from pathlib import Path

from setuptools import find_packages, setup

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


setup(
    name='dscreid',
    version=read_version(),
    description='Dynamic-static collaboration for unsupervised domain adaptive video-based '
    'visible-infrared person re-identification',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['dscreid', 'dscreid.*']),
    package_data={'dscreid.visualization': ['templates/*']},
    python_requires='>=3.10,<3.13',
    install_requires=read_requirements('runtime.txt'),
    extras_require={
        'gpu': read_optional('faiss'),
        'tables': read_optional('pyarrow'),
        'dev': read_requirements('tests.txt'),
    },
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)
