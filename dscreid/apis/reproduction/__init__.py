"""The paper's tables and figures: experiments as data, a driver that runs what is missing, tables of results."""

from dscreid.apis.reproduction.driver import ReproductionOptions, reproduce
from dscreid.apis.reproduction.experiments import EXPERIMENTS, Experiment, Row, choose_rows, find_experiment
from dscreid.apis.reproduction.presets import PRESETS, DataPreset, find_preset
from dscreid.apis.reproduction.show import ShowOptions, list_experiments, show

__all__ = [
    'EXPERIMENTS',
    'PRESETS',
    'DataPreset',
    'Experiment',
    'ReproductionOptions',
    'Row',
    'ShowOptions',
    'choose_rows',
    'find_experiment',
    'find_preset',
    'list_experiments',
    'reproduce',
    'show',
]
