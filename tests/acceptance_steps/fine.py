def measure(settings):
    yield {'device': settings.device}
    yield {'numbers': [1, 2.5], 'nested': {'a': 1.0}}
