def measure(settings):
    yield {'figure': 3, 'problems': ['a figure is wrong', 'another one']}
