"""Checks of datasets, as functions of indexes, paths and file headers."""

from dscreid.datasets.doctor.balance import check_balance
from dscreid.datasets.doctor.drops import check_drops
from dscreid.datasets.doctor.findings import Finding, Severity, worst
from dscreid.datasets.doctor.foreign import ForeignTracklet, check_foreign, foreign_by_path, foreign_in_hitsz
from dscreid.datasets.doctor.frames import STOPPING_FAULTS, FrameScan, check_frames, scan_files
from dscreid.datasets.doctor.identities import check_overlap
from dscreid.datasets.doctor.repeats import check_repeats

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
