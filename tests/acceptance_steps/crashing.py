import os
import signal


def measure(settings):
    yield {'first': 1}
    os.kill(os.getpid(), signal.SIGSEGV)
