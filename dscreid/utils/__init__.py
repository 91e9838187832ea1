"""Small helpers without a subject of their own: progress bars, safe weight files, config checks."""
