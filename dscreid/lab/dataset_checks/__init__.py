"""Dataset checks as functions of indexes, paths and file headers."""

from dscreid.lab.dataset_checks.findings import Finding, Severity, counted, warn_if

__all__ = ['Finding', 'Severity', 'counted', 'warn_if']
