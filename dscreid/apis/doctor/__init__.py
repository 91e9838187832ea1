"""Health check of a config: machine, data, evaluation, weights, memory and one batch of each stage."""

from dscreid.apis.doctor.diagnosis import Diagnosis, DoctorOptions, diagnose
from dscreid.apis.doctor.report import finding_text, summary_table, to_json

__all__ = ['Diagnosis', 'DoctorOptions', 'diagnose', 'finding_text', 'summary_table', 'to_json']
