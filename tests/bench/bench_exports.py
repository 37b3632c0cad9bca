#!/usr/bin/python3
"""What shares on a btrfs, exported over NFS, cost through sharesd, beside the same work done with the bare tools.

    bench_exports.py BUILD [SHARES [RULES]]

A real btrfs on a loop device, a real NFS-Ganesha; both ways in turns, a share at a time, so that the machine's moods meet
both. The bare way is what an admin's script would do: btrfs for the subvolume and its limit, mount --bind, a file with
the block, busctl to tell Ganesha. Needs root. Figures are medians; read the ratios."""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

build = os.path.abspath(sys.argv[1])
shares = int(sys.argv[2]) if len(sys.argv) > 2 else 200
rules = int(sys.argv[3]) if len(sys.argv) > 3 else 5
place = tempfile.mkdtemp(prefix="sharesd-bench-")
disk, pool, bus = place + "/disk", place + "/pool", None
port = 20490


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


class Daemon:
    def __init__(self):
        self.conf = place + "/sharesd.conf"
        with open(self.conf, "w") as f:
            f.write(f'state_dir = "{place}/state"\nsocket = "{place}/sock"\nruntime_dir = "{place}/run"\n'
                    f'log_level = "warning"\nadmin_groups = {{}}\nganesha_port = {port}\nganesha_grace_period = 0\n'
                    'export_addresses = {"127.0.0.1"}\n'
                    f'btrfs "pool" {{ root = "{pool}/shares"\n export = {{"ganesha"}} }}\n')
        self.process = None

    def start(self):
        self.process = subprocess.Popen([build + "/sharesd", "--config", self.conf])
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                self.connect()
                if self.call("get_backend", backend="pool")["status"] != "starting":
                    break
            except (FileNotFoundError, ConnectionRefusedError):
                pass
            time.sleep(0.01)
        backend = self.call("get_backend", backend="pool")
        if backend["status"] != "up":
            sys.exit(f"the backend is {backend['status']}: {backend['status_reason']}")

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(place + "/sock")
        self.lines = self.socket.makefile("rb")

    def call(self, method, **params):
        self.socket.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            sys.exit(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None


def addresses(level="RW"):
    return [f"192.0.2.{i + 1}" for i in range(rules)]


def block(i, level):
    clients = "".join(f"  CLIENT {{ Clients = {a}; Access_Type = {level}; }}\n" for a in addresses())
    return (f"EXPORT {{ Export_Id = {30000 + i}; Path = {pool}/mnt/e{i}; Pseudo = /bare{i}; Access_Type = None;\n"
            f"  Filesystem_Id = {30000 + i}.{30000 + i}; FSAL {{ Name = VFS; }}\n{clients}}}\n")


def ganesha(method, *argv):
    run("busctl", f"--address=unix:path={bus}", "call", "org.ganesha.nfsd", "/org/ganesha/nfsd/ExportMgr",
        "org.ganesha.nfsd.exportmgr", method, *argv)


def bare_block(i, level):
    with open(f"{place}/e{i}.conf", "w") as f:
        f.write(block(i, level))
    return f"{place}/e{i}.conf", f"EXPORT(Export_Id={30000 + i})"


def bare_make(i):
    run("btrfs", "subvolume", "create", f"{pool}/bare/e{i}")
    run("btrfs", "qgroup", "limit", "100M", f"{pool}/bare/e{i}")
    os.mkdir(f"{pool}/mnt/e{i}")
    run("mount", "--bind", f"{pool}/bare/e{i}", f"{pool}/mnt/e{i}")
    ganesha("AddExport", "ss", *bare_block(i, "RW"))


def bare_change(i):
    ganesha("UpdateExport", "ss", *bare_block(i, "RO"))


def bare_remove(i):
    ganesha("RemoveExport", "q", str(30000 + i))
    run("umount", f"{pool}/mnt/e{i}")
    run("btrfs", "subvolume", "delete", f"{pool}/bare/e{i}")


def our_make(d, i):
    d.call("create_share_instance", name=f"s{i}", backend="pool", share_proto="NFS", size_bytes=100 << 20)
    for a in addresses():
        d.call("allow_access", share=f"s{i}", access_type="ip", access_to=a)


def our_change(d, i):
    rule = d.call("list_access_rules", share=f"s{i}")["access_rules"][0]["id"]
    d.call("update_access", share=f"s{i}", access=rule, access_level="ro")


def our_remove(d, i):
    d.call("delete_share_instance", share=f"s{i}")


def timed(f, *argv):
    begin = time.monotonic()
    f(*argv)
    return time.monotonic() - begin


def compare(what, ours, bare):
    a, b = [], []
    for i in range(shares):
        a.append(timed(ours, i))
        b.append(timed(bare, i))
    ours, bare = statistics.median(a) * 1e3, statistics.median(b) * 1e3
    print(f"{what:<44}{ours:8.1f} ms{bare:10.1f} ms{ours / bare:8.2f}", flush=True)


def measure(d):
    global bus
    d.start()
    bus = f"{place}/run/ganesha/bus"
    os.makedirs(pool + "/bare")
    os.makedirs(pool + "/mnt")
    print(f"{shares} shares on btrfs over NFS, {rules} rules each{'sharesd':>17}{'bare tools':>13}{'ratio':>8}")
    compare(f"make one, with its {rules} rules", lambda i: our_make(d, i), bare_make)
    print(f"{'list them all':<44}{timed(d.call, 'list_shares') * 1e3:8.1f} ms")
    compare("change a rule", lambda i: our_change(d, i), bare_change)
    d.stop()
    print(f"{'start, and find all as it should be':<44}{timed(d.start) * 1e3:8.1f} ms")
    compare("remove one", lambda i: our_remove(d, i), bare_remove)


def clean(d):
    d.stop()
    for name in ("ganesha", "dbus"):
        try:
            with open(f"{place}/run/ganesha/{name}.pid") as f:
                os.kill(int(f.read().split()[0]), 9)
        except (OSError, ValueError, IndexError):
            pass
    time.sleep(0.2)
    with open("/proc/self/mounts") as f:
        mounts = [line.split()[1] for line in f if line.split()[1].startswith(place + "/")]
    for mount in reversed(mounts):
        subprocess.run(["umount", "-l", mount])
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("needs root: a loop device and a server are started")
    daemon = Daemon()
    try:
        os.mkdir(pool)
        run("truncate", "-s", "8G", disk)
        run("mkfs.btrfs", "-q", disk)
        run("mount", "-o", "loop", disk, pool)
        run("btrfs", "quota", "enable", pool)
        os.mkdir(pool + "/shares")
        measure(daemon)
    finally:
        clean(daemon)
