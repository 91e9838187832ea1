"""A health check of everything that a config needs: machine, data, memory and one batch of each stage."""

from dscreid.utils.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'diagnosis': ['Diagnosis', 'DoctorOptions', 'diagnose'],
        'report': ['diagnosis_table', 'to_json'],
    },
)
