"""General helpers: progress bars, safe weights files, config checks."""
