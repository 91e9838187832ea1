"""Health check of a config: machine, data, evaluation, weights, memory and one batch of each stage."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__, {'diagnosis': ['Diagnosis', 'DoctorOptions', 'diagnose', 'finding_text', 'summary_table', 'to_json']}
)
