"""Reports: tables, curves, retrieval lists and distance densities in one self-contained HTML file."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'curves': ['Scalars', 'make_scalars', 'read_scalars'],
        'densities': ['DistanceDensity', 'distance_density'],
        'environment': ['collect_environment'],
        'feature_map': ['FeatureMap', 'choose_tracklets', 'draw_feature_maps', 'embed_in_plane', 'map_features'],
        'figures': ['check_picture_name', 'figure_uri', 'save_figure'],
        'paper_tables': ['PAPER_FOOTNOTE', 'PAPER_TABLES', 'PaperResult', 'PaperTable', 'paper_table'],
        'pictures': ['TrackletPictures'],
        'prompt_attention': ['AttendedTracklet', 'choose_pair', 'compute_prompt_attention', 'draw_prompt_attention'],
        'report': ['ReportPicture', 'format_duration', 'report_html', 'write_report'],
        'results': ['ReportRun', 'format_results_table', 'results_table_html'],
        'retrieval': [
            'RetrievalExample',
            'RetrievalGallery',
            'choose_queries',
            'draw_retrieval',
            'instructive_query',
            'retrieval_examples',
        ],
        'sources': [
            'WorkDir',
            'build_test_dataset',
            'check_features_belong',
            'find_work_dirs',
            'load_run',
            'protocol_of',
        ],
    },
)
