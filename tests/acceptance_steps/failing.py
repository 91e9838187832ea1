def measure(settings):
    yield {'first': 1}
    raise ValueError('the <second> part fails')
