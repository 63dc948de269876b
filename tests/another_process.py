"""Code in another process that need not import scikit-learn and torch again: a fork of one that has.

``python -c`` takes seconds to import them, and the tests start dozens of processes. The process that forks is
a new interpreter, whose sets have another order; it has imported nothing of this package or of the tests.
Where a test asks what an import loads, it starts a new interpreter itself.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

SEED = "1"  # of the order of sets


class AnotherProcess:
    """Starts code as ``python -c`` does, where `imported` need no import."""

    def __init__(self, *imported):
        self._imported, self._forking = imported, None
        self._folder = tempfile.TemporaryDirectory(prefix="processes-")

    def run(self, code, *arguments, **settings):
        """What the code printed; a failure, with its errors, is one of the test."""
        started = self.start(code, *arguments, **settings)
        printed, errors = started.communicate()
        assert started.returncode == 0, errors
        return printed

    def start(self, code, *arguments, cwd=None, env=None):
        """Start code with arguments, in this folder and environment if no other is given."""
        arguments = [str(argument) for argument in arguments]
        if sys.platform != "linux":  # forks are not safe elsewhere, or not there
            command, pipe = [sys.executable, "-c", code, *arguments], subprocess.PIPE
            return subprocess.Popen(command, cwd=cwd, env=env, stdout=pipe, stderr=pipe, text=True)
        place = tempfile.mkdtemp(dir=self._folder.name)  # of what it prints
        environment = dict(os.environ if env is None else env)
        asked = {"code": code, "arguments": arguments, "cwd": str(cwd or Path.cwd()), "env": environment}
        return Started(self, self.ask(**asked, place=place), Path(place))

    def ask(self, **request):
        """The answer of the process that forks."""
        if self._forking is None:
            command, pipe = [sys.executable, __file__, *self._imported], subprocess.PIPE
            environment = os.environ | {"PYTHONHASHSEED": SEED}
            self._forking = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        self._forking.stdin.write(f"{json.dumps(request)}\n")
        self._forking.stdin.flush()
        return json.loads(self._forking.stdout.readline())

    def close(self):
        """End the process that forks."""
        if self._forking is not None:
            self._forking.kill()  # its end takes a second, for nothing
            self._forking.communicate()
        self._folder.cleanup()


class Started:
    """A process: what subprocess.Popen says of one."""

    def __init__(self, others, pid, place):
        self._others, self.pid, self.returncode, self._place = others, pid, None, place

    def poll(self):
        """The exit status, or None while the process runs."""
        if self.returncode is None:
            self.returncode = self._others.ask(ended=self.pid)
        return self.returncode

    def wait(self, timeout=300):
        """Wait for the end; return the exit status."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < end, f"the process runs for more than {timeout} s"
            time.sleep(0.01)
        return self.returncode

    def communicate(self, timeout=300):
        """Wait for the end; return what was printed, and the errors."""
        self.wait(timeout)
        return [(self._place / name).read_text("utf-8") for name in ("printed", "errors")]

    def kill(self):
        """End it, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def wait_for_requests(imported):
    """Fork for each line that asks for it; only forks return, what they are asked for."""
    for name in imported:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            pid, status = os.waitpid(request["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif (answer := os.fork()) == 0:
            return request
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()
    sys.exit()


def become(request):
    """Be what is asked for; return the namespace of the code."""
    files = [os.open(os.devnull, os.O_RDONLY)]
    files += [
        os.open(f"{request['place']}/{name}", os.O_WRONLY | os.O_CREAT) for name in ("printed", "errors")
    ]
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["-c", *request["arguments"]]
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = ["", *(path for path in given if path not in sys.path)]  # not the folder of this file
    sys.modules["__main__"] = main = ModuleType("__main__")
    return vars(main)


if __name__ == "__main__":
    asked = wait_for_requests(sys.argv[1:])
    exec(asked["code"], become(asked))
