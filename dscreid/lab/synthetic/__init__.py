"""Procedurally rendered worlds of walking people, in the official layouts of data sets."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'domain': ['DOMAINS', 'Domain'],
        'presets': ['DIRECTIONS', 'World', 'adaptation_worlds', 'make_spec'],
        'spec': ['LAYOUTS', 'WorldSpec'],
        'target_folder': ['is_complete'],
        'world': ['WorldSummary', 'contact_sheet', 'render_world', 'write_contact_sheet'],
    },
)
