"""A procedurally drawn world of walking people, in the official layouts of HITSZ-VCM and BUPTCampus."""

from .domain import DOMAINS, Domain
from .presets import PRESETS, make_spec
from .preview import contact_sheet, write_contact_sheet
from .spec import LAYOUTS, WorldSpec
from .target_folder import is_complete
from .world import WorldSummary, render_world

__all__ = [
    'DOMAINS',
    'LAYOUTS',
    'PRESETS',
    'Domain',
    'WorldSpec',
    'WorldSummary',
    'contact_sheet',
    'is_complete',
    'make_spec',
    'render_world',
    'write_contact_sheet',
]
