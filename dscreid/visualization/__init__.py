"""Reports: tables, curves, retrieval lists and distance densities in one self-contained HTML file."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'curves': ['Scalars', 'make_scalars', 'read_scalars'],
        'densities': ['DistanceDensity', 'distance_density'],
        'environment': ['collect_environment'],
        'feature_map': [
            'FeatureMap',
            'choose_tracklets',
            'draw_feature_maps',
            'embed_in_plane',
            'map_features',
            'person_colors',
        ],
        'figures': ['check_picture_name', 'figure_uri', 'save_figure'],
        'paper_tables': [
            'PAPER_FOOTNOTE',
            'PAPER_TABLES',
            'PaperResult',
            'PaperTable',
            'paper_reference',
            'paper_table',
        ],
        'pictures': ['TrackletPictures'],
        'prompt_attention': [
            'AttendedTracklet',
            'PromptAttention',
            'choose_pair',
            'compute_prompt_attention',
            'draw_prompt_attention',
        ],
        'report': ['ReportPicture', 'format_duration', 'report_html', 'write_report'],
        'results': ['ReportRun', 'format_results_table', 'results_table_html'],
        'retrieval': ['RetrievalExample', 'RetrievalGallery', 'choose_queries', 'retrieval_examples'],
        'retrieval_picture': ['InstructiveQuery', 'draw_retrieval', 'instructive_query'],
        'sources': [
            'build_test_dataset',
            'check_features_belong',
            'load_run',
            'protocol_of',
            'read_evaluation',
        ],
        'work_dirs': ['WorkDir', 'find_work_dir', 'find_work_dirs'],
    },
)
