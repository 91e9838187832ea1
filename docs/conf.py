"""Configuration of the documentation; ``make docs`` builds it."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault('OMP_NUM_THREADS', '1')

from dscreid.version import __version__

project = 'dscreid'
author = 'The dscreid authors'
copyright = '2026, the dscreid authors'
version = release = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.autosummary',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
]
source_suffix = {'.md': 'markdown', '.rst': 'restructuredtext'}
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = f'dscreid {release}'
html_static_path = ['_static']

myst_enable_extensions = ['colon_fence', 'dollarmath']
myst_heading_anchors = 4

autosummary_generate = True
autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_default_options = {'members': True, 'show-inheritance': True}
napoleon_google_docstring = True
napoleon_use_rtype = False
napoleon_use_ivar = True

# every link in a page is checked by `make linkcheck`, which needs the internet
linkcheck_anchors = False
