#!/usr/bin/python3
"""What replicas cost through sharesd, beside the same work done with the bare tools.

    bench_replicas.py BUILD [FILES [BYTES]]

One share of FILES files, of BYTES together (10,000 and 1 GiB): its first replica, and the update after one file in a
hundred was written anew. On btrfs beside `btrfs send | btrfs receive`, on directories beside rsync; each way from a tree
of its own with the same files, file systems flushed before each, in turns, on loop devices (directories: ext4). Needs root. Sent: what went
from one side to the other. Read the ratios."""

import os
import re
import sys
import time

from bench_daemon import Daemon, begin, clean, make_btrfs, make_disk, run, timed

build = os.path.abspath(sys.argv[1])
files = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
size = int(sys.argv[3]) // files if len(sys.argv) > 3 else (1 << 30) // files
rounds = 3
place = begin()
sides = {driver: [f"{place}/{driver}-{side}" for side in "ab"] for driver in ("btrfs", "dir")}
conf = "".join(f"""{driver} "{driver}-{side}" {{
	root = "{place}/{driver}-{side}/root"
	replication_domain = "{driver}"
	replica_state_update_interval = 86400
}}
""" for driver in ("btrfs", "dir") for side in ("a", "b"))


def fill(tree, every=1):
    """Directories of a hundred files each."""
    for i in range(0, files, every):
        os.makedirs(f"{tree}/{i // 100}", exist_ok=True)
        with open(f"{tree}/{i // 100}/{i}", "wb") as f:
            f.write(os.urandom(size))


def sent():
    """All that the daemon says it has sent."""
    with open(place + "/log") as f:
        return sum(int(n) for n in re.findall(r"(\d+) bytes of share", f.read()))


def flush():
    for disk in sum(sides.values(), []):
        run("sync", "-f", disk)


def ours(d, method, **params):
    flush()
    before = sent()
    return timed(lambda: d.call(method, **params)), sent() - before


def bare(command):
    flush()
    return timed(run, "bash", "-o", "pipefail", "-c", command)


def send_bytes(arguments):
    return int(run("bash", "-c", f"btrfs send -q {arguments} | wc -c"))


def show(what, own, other):
    (seconds, sent), (bare_seconds, bare_sent) = own, other
    print(f"{what:<36}{seconds:8.2f} s {sent / 1e6:9.1f} MB{bare_seconds:10.2f} s {bare_sent / 1e6:9.1f} MB"
          f"{seconds / bare_seconds:8.2f}", flush=True)


def replica_of(d, share):
    return next(r["id"] for r in d.call("list_replicas", share=share)["replicas"] if r["replica_state"] != "active")


def make(d, driver):
    d.call("create_share_instance", name=driver, backend=driver + "-a", size_bytes=4 << 30)
    tree = f"{sides[driver][0]}/root/{driver}/data"
    fill(tree)
    return tree


def on_btrfs(d):
    a, b = sides["btrfs"]
    tree, twin, to = make(d, "btrfs"), a + "/twin", b + "/bare"
    run("btrfs", "subvolume", "create", twin)
    fill(twin)
    os.mkdir(to)
    snapshot = "btrfs subvolume snapshot -r {0} {0}.{1} && btrfs send -q {2} {0}.{1} | btrfs receive -q {3} && " \
        "btrfs filesystem sync {3}"
    own = ours(d, "create_share_replica", share="btrfs", backend="btrfs-b")
    other = bare(snapshot.format(twin, 0, "", to)), send_bytes(twin + ".0")
    show("btrfs: the first", own, other)
    for i in range(1, rounds + 1):
        fill(tree, 100)
        fill(twin, 100)
        own = ours(d, "update_share_replica", replica=replica_of(d, "btrfs"))
        parent = f"-p {twin}.{i - 1}"
        other = bare(snapshot.format(twin, i, parent, to)), send_bytes(f"{parent} {twin}.{i}")
        show("btrfs: an update, 1 % changed", own, other)


def on_directories(d):
    a, b = sides["dir"]
    tree, twin, to = make(d, "dir"), a + "/twin", b + "/bare"
    fill(twin)
    rsync = f"rsync -aHAXS --numeric-ids --delete --stats {twin}/ {to}/ >{place}/stats && sync -f {to}"

    def by_rsync():
        took = bare(rsync)
        with open(place + "/stats") as f:
            return took, int(re.search(r"Total transferred file size: ([0-9,.]+)", f.read())[1].replace(",", ""))

    own = ours(d, "create_share_replica", share="dir", backend="dir-b")
    show("dir: the first", own, by_rsync())
    for _ in range(rounds):
        time.sleep(1.1)  # rsync tells by the time of a file, in seconds, whether it was changed
        fill(tree, 100)
        fill(twin, 100)
        own = ours(d, "update_share_replica", replica=replica_of(d, "dir"))
        show("dir: an update, 1 % changed", own, by_rsync())


if __name__ == "__main__":
    daemon = Daemon(build, place, conf, "info")
    try:
        for disk in sides["btrfs"]:
            make_btrfs(disk, "8G")
        for disk in sides["dir"]:
            make_disk(disk, "8G", "ext4")
        for disk in sum(sides.values(), []):
            os.mkdir(disk + "/root")
        daemon.start()
        print(f"{files} files, {files * size / 1e6:.0f} MB{'sharesd':>16}{'sent':>13}{'bare':>10}{'sent':>13}{'ratio':>10}")
        on_btrfs(daemon)
        on_directories(daemon)
    finally:
        clean(daemon)
