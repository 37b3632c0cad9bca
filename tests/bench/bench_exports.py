#!/usr/bin/python3
"""What shares on a btrfs, exported over NFS, cost through sharesd, beside the same work done with the bare tools.

    bench_exports.py BUILD [SHARES [RULES]]

A real btrfs on a loop device, a real NFS-Ganesha; both ways in turns, a share at a time, so that the machine's moods meet
both. The bare way is what an admin's script would do: btrfs for the subvolume and its limit, mount --bind, a file with
the block, busctl to tell Ganesha. Needs root. Figures are medians; read the ratios."""

import os
import statistics
import sys

from bench_daemon import Daemon, begin, clean, make_btrfs, run, timed

build = os.path.abspath(sys.argv[1])
shares = int(sys.argv[2]) if len(sys.argv) > 2 else 200
rules = int(sys.argv[3]) if len(sys.argv) > 3 else 5
place = begin()
pool, bus = place + "/pool", place + "/run/ganesha/bus"
port = 20490
conf = f"""runtime_dir = "{place}/run"
ganesha_port = {port}
ganesha_grace_period = 0
export_addresses = {{"127.0.0.1"}}
btrfs "pool" {{
	root = "{pool}/shares"
	export = {{"ganesha"}}
}}
"""


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


def compare(what, ours, bare):
    a, b = [], []
    for i in range(shares):
        a.append(timed(ours, i))
        b.append(timed(bare, i))
    ours, bare = statistics.median(a) * 1e3, statistics.median(b) * 1e3
    print(f"{what:<44}{ours:8.1f} ms{bare:10.1f} ms{ours / bare:8.2f}", flush=True)


def measure(d):
    d.start()
    os.makedirs(pool + "/bare")
    os.makedirs(pool + "/mnt")
    print(f"{shares} shares on btrfs over NFS, {rules} rules each{'sharesd':>17}{'bare tools':>13}{'ratio':>8}")
    compare(f"make one, with its {rules} rules", lambda i: our_make(d, i), bare_make)
    print(f"{'list them all':<44}{timed(d.call, 'list_shares') * 1e3:8.1f} ms")
    compare("change a rule", lambda i: our_change(d, i), bare_change)
    d.stop()
    print(f"{'start, and find all as it should be':<44}{timed(d.start) * 1e3:8.1f} ms")
    compare("remove one", lambda i: our_remove(d, i), bare_remove)


if __name__ == "__main__":
    daemon = Daemon(build, place, conf)
    try:
        make_btrfs(pool, "8G")
        os.mkdir(pool + "/shares")
        measure(daemon)
    finally:
        clean(daemon)
