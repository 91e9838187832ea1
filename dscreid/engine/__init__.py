"""What drives models: feature extraction, schedules and hooks."""
