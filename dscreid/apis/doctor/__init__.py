"""A health check of everything that a config needs: machine, data, memory and one batch of each stage."""

from dscreid.apis.doctor.diagnosis import Diagnosis, DoctorOptions, diagnose
from dscreid.apis.doctor.report import diagnosis_table, to_json

__all__ = ['Diagnosis', 'DoctorOptions', 'diagnose', 'diagnosis_table', 'to_json']
