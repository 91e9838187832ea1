"""Reports: tables, curves, retrieval lists and distance densities in one self-contained HTML file."""

from dscreid.visualization.curves import Scalars, make_scalars, read_scalars
from dscreid.visualization.densities import DistanceDensity, distance_density
from dscreid.visualization.environment import collect_environment
from dscreid.visualization.paper_tables import (
    PAPER_FOOTNOTE,
    PAPER_TABLES,
    PaperResult,
    PaperTable,
    paper_reference,
    paper_table,
)
from dscreid.visualization.pictures import TrackletPictures
from dscreid.visualization.report import format_duration, report_html, write_report
from dscreid.visualization.results import ReportRun, format_results_table, results_table_html
from dscreid.visualization.retrieval import (
    RetrievalExample,
    RetrievalGallery,
    choose_queries,
    retrieval_examples,
)
from dscreid.visualization.sources import (
    build_test_dataset,
    check_features_belong,
    load_run,
    protocol_of,
    read_evaluation,
)
from dscreid.visualization.work_dirs import WorkDir, find_work_dir

__all__ = [
    'PAPER_FOOTNOTE',
    'PAPER_TABLES',
    'DistanceDensity',
    'PaperResult',
    'PaperTable',
    'ReportRun',
    'RetrievalExample',
    'RetrievalGallery',
    'Scalars',
    'TrackletPictures',
    'WorkDir',
    'build_test_dataset',
    'check_features_belong',
    'choose_queries',
    'collect_environment',
    'distance_density',
    'find_work_dir',
    'format_duration',
    'format_results_table',
    'load_run',
    'make_scalars',
    'paper_reference',
    'paper_table',
    'protocol_of',
    'read_evaluation',
    'read_scalars',
    'report_html',
    'results_table_html',
    'retrieval_examples',
    'write_report',
]
