"""Dataset checks as functions of indexes, paths and file headers."""

from dscreid.lab.dataset_checks.balance import check_balance
from dscreid.lab.dataset_checks.drops import check_drops
from dscreid.lab.dataset_checks.findings import Finding, Severity, worst
from dscreid.lab.dataset_checks.foreign import (
    ForeignTracklet,
    check_foreign,
    foreign_by_path,
    foreign_in_hitsz,
)
from dscreid.lab.dataset_checks.frames import STOPPING_FAULTS, FrameScan, check_frames, scan_files
from dscreid.lab.dataset_checks.identities import check_overlap
from dscreid.lab.dataset_checks.repeats import check_repeats

__all__ = [
    'STOPPING_FAULTS',
    'Finding',
    'ForeignTracklet',
    'FrameScan',
    'Severity',
    'check_balance',
    'check_drops',
    'check_foreign',
    'check_frames',
    'check_overlap',
    'check_repeats',
    'foreign_by_path',
    'foreign_in_hitsz',
    'scan_files',
    'worst',
]
