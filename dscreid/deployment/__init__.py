"""Use a trained model: model bundles and the features of your own tracklets."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'bundle': ['Bundle', 'build_model', 'make_bundle', 'read_bundle'],
        'calibration': ['calibrate', 'pair_of', 'similarity_threshold', 'threshold_for'],
        'export': ['export_bundle'],
        'gallery': ['Gallery'],
        'gallery_folder': ['add_folder', 'open_folder'],
        'gallery_places': ['open_gallery'],
        'inferencer': ['TrackletInferencer'],
        'linking': ['link_tracklets'],
        'presence': ['presence_of'],
    },
)
