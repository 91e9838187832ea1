"""Train and test models: feature extraction, schedules, checkpoints and hooks."""
