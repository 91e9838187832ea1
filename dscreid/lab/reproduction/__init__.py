"""Reproduce the paper's tables and figures: experiments as data, a driver for missing runs, result tables."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'driver': ['ReproductionOptions', 'reproduce'],
        'experiments': ['EXPERIMENTS', 'Experiment', 'Row', 'choose_rows', 'find_experiment'],
        'claims': ['CLAIMS', 'judge_claims'],
        'presets': ['PRESETS', 'DataPreset', 'find_preset'],
        'result_page': ['write_result_page'],
        'results': ['collect_results', 'read_results'],
        'show': ['list_experiments', 'show_experiment'],
    },
)
