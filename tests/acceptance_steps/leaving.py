def measure(settings):
    yield {'skipped': 'there is nothing to do'}
