"""Whole jobs behind the tools: train both stages, evaluate, build a model for inference."""

from dscreid.apis.config import load_config
from dscreid.apis.inference import init_model
from dscreid.apis.test import evaluate
from dscreid.apis.train import run_experiment

__all__ = ['evaluate', 'init_model', 'load_config', 'run_experiment']
