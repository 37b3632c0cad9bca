"""A daemon in a place of its own, for benches of real storage: what bench_exports.py and bench_replicas.py share."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time


def begin():
    if os.geteuid():
        sys.exit("needs root: loop devices are mounted, and servers started")
    return tempfile.mkdtemp(prefix="sharesd-bench-")


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def timed(f, *argv):
    started = time.monotonic()
    f(*argv)
    return time.monotonic() - started


def make_disk(where, size, kind):
    """A file system on a loop device, mounted at `where`."""
    os.mkdir(where)
    run("truncate", "-s", size, where + ".disk")
    run("mkfs." + kind, "-q", where + ".disk")
    run("mount", "-o", "loop", where + ".disk", where)


def make_btrfs(where, size):
    """The same, with quotas."""
    make_disk(where, size, "btrfs")
    run("btrfs", "quota", "enable", where)


class Daemon:
    def __init__(self, build, place, conf, log_level="warning"):
        self.build, self.place, self.process = build, place, None
        with open(place + "/sharesd.conf", "w") as f:
            f.write(f'state_dir = "{place}/state"\nsocket = "{place}/sock"\nlog_level = "{log_level}"\n'
                    f'admin_groups = {{}}\n{conf}')

    def start(self):
        """Returns when all backends are up."""
        with open(self.place + "/log", "a") as log:
            self.process = subprocess.Popen([self.build + "/sharesd", "--config", self.place + "/sharesd.conf"],
                                            stderr=log)
        until = time.monotonic() + 60
        backends = []
        while time.monotonic() < until:
            try:
                self.connect()
                backends = self.call("list_backends")["backends"]
                if all(b["status"] != "starting" for b in backends):
                    break
            except (FileNotFoundError, ConnectionRefusedError):
                pass
            time.sleep(0.01)
        for b in backends:
            if b["status"] != "up":
                sys.exit(f"backend {b['name']} is {b['status']}: {b['status_reason']}")

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.place + "/sock")
        self.lines = self.socket.makefile("rb")

    def call(self, method, **params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            sys.exit(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


def clean(daemon):
    """Nothing of the bench is left: the daemon, the servers that outlive it, mounts, files."""
    daemon.stop()
    for name in ("ganesha", "dbus"):
        try:
            with open(f"{daemon.place}/run/ganesha/{name}.pid") as f:
                os.kill(int(f.read().split()[0]), 9)
        except (OSError, ValueError, IndexError):
            pass
    time.sleep(0.2)
    with open("/proc/self/mounts") as f:
        mounts = [line.split()[1] for line in f if line.split()[1].startswith(daemon.place + "/")]
    for mount in reversed(mounts):
        subprocess.run(["umount", "-l", mount])
    shutil.rmtree(daemon.place, ignore_errors=True)
