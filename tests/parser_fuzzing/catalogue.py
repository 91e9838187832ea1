"""All parsers that are fuzzed."""

from parser_fuzzing import datasets, records, weights

PARSERS = (*datasets.PARSERS, *weights.PARSERS, *records.PARSERS)
