"""Reports: tables, curves, retrieval lists and distance densities in one self-contained HTML file."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'curves': ['Scalars', 'make_scalars', 'read_scalars'],
        'densities': ['DistanceDensity', 'distance_density'],
        'feature_map': ['FeatureMap', 'choose_tracklets', 'draw_feature_maps', 'embed_in_plane', 'map_features'],
        'figures': ['check_picture_name', 'figure_uri', 'save_figure'],
        'infrared_tones': ['ToneExample', 'draw_infrared_tones'],
        'pictures': ['TrackletPictures'],
        'prompt_attention': ['AttendedTracklet', 'choose_pair', 'compute_prompt_attention', 'draw_prompt_attention'],
        'reference_rows': ['mean_rows', 'published_rows', 'selected_row'],
        'report': ['ReportPicture', 'collect_environment', 'report_html', 'write_report'],
        'results': ['PAPER_FOOTNOTE', 'PaperResult', 'ReportRun', 'format_results_table', 'paper_table'],
        'retrieval': ['RetrievalExample', 'RetrievalGallery', 'draw_retrieval', 'retrieval_examples'],
        'sources': [
            'WorkDir', 'build_test_dataset', 'check_features_belong', 'find_work_dirs', 'load_run', 'protocol_of',
        ],
    },
)  # fmt: skip
