from dscreid.utils.signatures import accepted_arguments, closest


def test_keywords_are_followed_through_the_bases():
    class Base:
        def __init__(self, a, b=1):
            pass

    class Middle(Base):
        pass

    class Child(Middle):
        def __init__(self, c, a=2, **kwargs):
            pass

    class Open(Child):
        def __init__(self, *args, **kwargs):
            pass

    class Swallows:
        def __init__(self, **kwargs):
            pass

    assert accepted_arguments(Child) == ['c', 'a', 'b']
    assert accepted_arguments(Open) == ['c', 'a', 'b']
    assert accepted_arguments(Swallows) is None
    assert accepted_arguments(type('Bare', (), {})) == []
    assert accepted_arguments(lambda x, *, y: None) == ['x', 'y']


def test_the_closest_name():
    assert closest('esp', ['eps', 'k1']) == "; did you mean 'eps'?"
    assert closest('esp', ['k1']) == ''
    assert closest('abcd', ['abxy']) == ''  # half of it is too little
