import subprocess
import time


def measure(settings):
    yield {'child': subprocess.Popen(['sleep', '300']).pid}
    time.sleep(300)
