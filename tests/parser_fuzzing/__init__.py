"""Property-based fuzzing of everything that reads a file; see docs/reliability.md."""
