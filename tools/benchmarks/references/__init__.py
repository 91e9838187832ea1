"""Plain implementations that the benchmarks compare with and the tests use as oracles."""
