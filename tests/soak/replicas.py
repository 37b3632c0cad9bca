#!/usr/bin/python3
"""replicas.py BUILD SECONDS SEED: calls at random about replicas, snapshots and share servers, in a real daemon.

Four clients call, and the shares' files are written, while the daemon is killed or stopped and started again, and the
connections to the other host of a btrfs_ssh backend (a sshd on this machine) are cut. After each round nothing may be
under way that nobody does, no share may have two active replicas or none, no two servers one address, and no backend
what nobody knows; in the end all is deleted, and nothing may be left. Prints what came of the calls; exit status 1 where
something was wrong. Root, for it mounts btrfs on loop devices, which nobody else sees.
"""
import collections
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PORT = 2299
DISKS = ("a", "b", "c", "far")
# Backends that hold replicas of each other's shares.
FAMILIES = (("a", "b", "c", "far"), ("d1", "d2"), ("s1", "s2"))
SHARES = [f"{family}-{n}" for family in range(len(FAMILIES)) for n in range(2)]
GONE = ("not_found", "already_exists", "busy", "invalid_state", "invalid_params", "not_supported", "shutting_down",
        "backend_down", "no_space", "pre_hook_failed", "post_hook_failed", "vetoed")

CONF = """
state_dir = "{dir}/state"
socket = "{dir}/socket"
replica_state_update_interval = 2
stats_interval = 5
share_network "blue" {{ bridge = "br1"
  addresses = {{"192.0.2.10-192.0.2.12/24"}} }}
share_network "red" {{ bridge = "br2"
  addresses = {{"192.0.2.10-192.0.2.12/24"}} }}
btrfs "a" {{ root = "{dir}/a"
  replication_domain = "x" }}
btrfs "b" {{ root = "{dir}/b"
  replication_domain = "x" }}
btrfs "c" {{ root = "{dir}/c"
  replication_domain = "x"
  replication_type = "dr" }}
btrfs_ssh "far" {{ replication_domain = "x"
  replication_type = "dr"
  replica_transport = "ssh://root@127.0.0.1:{port}"
  ssh_config = "{dir}/ssh_config" }}
dir "d1" {{ root = "{dir}/d1"
  replication_domain = "y" }}
dir "d2" {{ root = "{dir}/d2"
  replication_domain = "y" }}
sim "s1" {{ driver_handles_share_servers = true
  hook_drivers = {{"exec:{dir}/hook"}}
  enable_pre_hooks = true
  enable_post_hooks = true
  latency = 0.005 }}
sim "s2" {{ driver_handles_share_servers = true
  delete_share_server_with_last_share = true
  unused_share_server_cleanup_interval = 2 }}
"""
HOOK = """#!/bin/bash
[ -e {dir}/well ] || [ $((RANDOM % 6)) != 0 ]
"""
SSHD = """ListenAddress 127.0.0.1
Port {port}
HostKey {dir}/host
AuthorizedKeysFile {dir}/authorized
PidFile none
PermitRootLogin forced-commands-only
UsePAM no
StrictModes no
MaxStartups 100
"""
SSH = """IdentityFile {dir}/near
IdentitiesOnly yes
UserKnownHostsFile {dir}/known
"""


def shell(command, **more):
    return subprocess.run(["bash", "-ec", command], check=True, stdout=subprocess.PIPE, text=True, **more).stdout


class Client:
    """One connection. A daemon that ends meanwhile is an OSError."""

    def __init__(self, path):
        for _ in range(1200):
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise SystemExit("the daemon does not answer")
        self.file = self.socket.makefile("rw")
        self.id = 0

    def ask(self, method, **params):
        self.id += 1
        self.file.write(json.dumps({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}) + "\n")
        self.file.flush()
        line = self.file.readline()
        if not line.endswith("\n"):
            raise OSError("the daemon has ended")
        return json.loads(line)

    def get(self, method, **params):
        return self.ask(method, **params).get("result")


def calls(client):
    found, after = [], {}
    while True:
        page = client.get("list_calls", limit=1000, **after)
        found += page["calls"]
        if not page.get("next"):
            return found
        after = {"after": page["next"]}


class Soak:
    def __init__(self, build, directory):
        self.build = build
        self.dir = directory
        self.daemon = self.sshd = None
        self.outcomes = collections.Counter()
        self.failures = collections.Counter()
        self.wrong = 0

    def say_wrong(self, *what):
        self.wrong += 1
        print("WRONG:", *what)

    # ---- the place ----

    def write(self, name, text, mode=0o644):
        path = f"{self.dir}/{name}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.format(dir=self.dir, port=PORT))
        os.chmod(path, mode)

    def begin(self):
        for disk in DISKS:
            shell(f"cd {self.dir}; mkdir {disk}; truncate -s 512M {disk}.img; mkfs.btrfs -q {disk}.img; "
                  f"mount -o loop {disk}.img {disk}; btrfs quota enable {disk}")
        shell(f"cd {self.dir}; mkdir d1 d2 state; mkdir -p /run/sshd; "
              "for k in host near; do ssh-keygen -q -t ed25519 -N '' -C '' -f $k; done; "
              f"echo \"[127.0.0.1]:{PORT} $(cat host.pub)\" >known; "
              f"echo \"restrict,command=\\\"{self.build}/sharesd-receive $PWD/far\\\" $(cat near.pub)\" >authorized")
        self.write("hook", HOOK, 0o755)
        self.write("sshd_config", SSHD)
        self.write("ssh_config", SSH)
        self.write("conf", CONF)
        self.sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-E", f"{self.dir}/sshd.log", "-f", f"{self.dir}/sshd_config"])
        self.start()

    def start(self):
        with open(f"{self.dir}/log", "ab") as log:
            self.daemon = subprocess.Popen([f"{self.build}/sharesd", "--config", f"{self.dir}/conf"], stderr=log)

    def end(self):
        for process in (self.daemon, self.sshd):
            if process:
                process.kill()
                process.wait()
        for disk in DISKS:
            subprocess.run(["umount", "-l", f"{self.dir}/{disk}"], check=False, stderr=subprocess.DEVNULL)

    def client(self):
        return Client(f"{self.dir}/socket")

    # ---- calls at random ----

    def write_a_file(self, r, name, replicas):
        for one in replicas:
            if one["replica_state"] in (None, "active") and one["backend"][0] != "s":
                try:
                    with open(f"{self.dir}/{one['backend']}/{name}/data/f{r.randint(0, 5)}", "wb") as f:
                        f.write(os.urandom(r.randint(1, 300000)))
                except OSError:
                    pass # it is being promoted, or is gone

    def call(self, client, r):
        name = r.choice(SHARES)
        family = FAMILIES[int(name[0])]
        share = client.get("get_share", share=name)
        replicas = share["instances"] if share else []
        replica = r.choice(replicas)["id"] if replicas else "none"
        snapshot = f"{name}@{r.randint(0, 3)}"
        network = {"share_network": r.choice(("blue", "red"))} if family[0] == "s1" else {}
        server = {"share_server": r.choice([s["id"] for s in client.get("list_share_servers")["share_servers"]] or ["none"])}
        method, params = r.choice((
            ("create_share_instance", {"name": name, "backend": r.choice(family[:2]), "size_bytes": 64 << 20, **network}),
            ("create_share_replica", {"share": name, "backend": r.choice(family)}),
            ("create_share_replica", {"share": name, "backend": r.choice(family)}),
            ("promote_share_replica", {"replica": replica, "force": r.random() < 0.2}),
            ("update_share_replica", {"replica": replica}),
            ("delete_share_replica", {"replica": replica}),
            ("delete_share_instance", {"share": name}),
            ("create_snapshot", {"share": name, "name": snapshot[-1]}),
            ("create_snapshot", {"share": name, "name": snapshot[-1]}),
            ("delete_snapshot", {"snapshot": snapshot}),
            ("update_replicated_snapshot", {"snapshot": snapshot}),
            ("revert_to_snapshot", {"snapshot": snapshot}),
            ("extend_share", {"share": name, "size_bytes": r.randint(65, 90) << 20}),
            ("allow_access", {"share": name, "access_type": "user", "access_to": "nobody"}),
            ("create_share_server", {"backend": r.choice(("s1", "s2")), "share_network": r.choice(("blue", "red"))}),
            ("delete_share_server", server),
            ("", {}),
            ("", {})))
        if not method:
            return self.write_a_file(r, name, replicas)
        if method.startswith("delete_share_") and method != "delete_share_server" and r.random() < 0.5:
            return None
        reply = client.ask(method, **params)
        kind = reply["error"]["data"]["kind"] if "error" in reply else "ok"
        self.outcomes[(method, kind)] += 1
        if kind != "ok" and kind not in GONE:
            self.failures[(method, kind, reply["error"]["message"])] += 1
        return None

    def work(self, seed, stop):
        r = random.Random(seed)
        try:
            client = self.client()
            while not stop.is_set():
                self.call(client, r)
        except (OSError, ValueError):
            pass # the daemon was killed

    def disturb(self, r):
        how = r.choice(("kill", "kill", "stop", "cut", "nothing"))
        if how == "kill":
            self.daemon.kill()
            self.daemon.wait()
        elif how == "stop":
            self.daemon.send_signal(signal.SIGTERM)
            if self.daemon.wait() != 0:
                self.say_wrong("the daemon ended with", self.daemon.returncode)
        elif how == "cut":
            subprocess.run(["pkill", "-9", "-P", str(self.sshd.pid)], check=False)
        if how in ("kill", "stop"):
            self.start()

    # ---- what may not be ----

    def settle(self, client):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            backends = client.get("list_backends")["backends"]
            busy = [c for c in calls(client) if c["state"] in ("queued", "running", "working")]
            if not busy and all(b["status"] == "up" for b in backends):
                return
            time.sleep(0.1)
        self.say_wrong("it does not come to rest:", busy[:1], [b for b in backends if b["status"] != "up"])

    def check_shares(self, client):
        for share in client.get("list_shares")["shares"]:
            share = client.get("get_share", share=share["id"])
            states = [i["replica_state"] for i in share["instances"]] if share else ["active"]
            if len(states) > 1 and states.count("active") != 1:
                self.say_wrong(share["name"], "has these replicas:", states)

    def check_servers(self, client):
        servers = client.get("list_share_servers")["share_servers"]
        taken = collections.Counter((s["share_network"], s["address"]) for s in servers if s.get("address"))
        for address, n in taken.items():
            if n > 1:
                self.say_wrong(n, "servers have", address)

    def check(self, client):
        self.settle(client)
        self.check_shares(client)
        self.check_servers(client)
        for orphan in client.get("list_orphans")["orphans"]:
            # What the timer does meanwhile is nobody's orphan a moment later.
            self.settle(client)
            if orphan in client.get("list_orphans")["orphans"]:
                self.say_wrong("nobody knows", orphan)

    def delete(self, client, method, **params):
        """Once more where the timer's round is at it."""
        for _ in range(300):
            reply = client.ask(method, **params)
            if "error" not in reply or reply["error"]["data"]["kind"] in ("not_found",):
                return
            if reply["error"]["data"]["kind"] not in ("busy", "backend_down"):
                break
            time.sleep(0.1)
        self.say_wrong(method, params, "fails:", reply["error"]["message"])

    def delete_all(self, client):
        self.write("well", "")
        for share in client.get("list_shares")["shares"]:
            for snapshot in client.get("list_snapshots", share=share["id"])["snapshots"]:
                self.delete(client, "delete_snapshot", snapshot=snapshot["id"], force=True)
                for _ in range(100):
                    if not client.get("get_snapshot", snapshot=snapshot["id"]):
                        break
                    client.ask("update_replicated_snapshot", snapshot=snapshot["id"])
                    time.sleep(0.05)
            for one in client.get("get_share", share=share["id"])["instances"]:
                if one["replica_state"] not in (None, "active"):
                    self.delete(client, "delete_share_replica", replica=one["id"])
            self.delete(client, "delete_share_instance", share=share["id"])
        for server in client.get("list_share_servers")["share_servers"]:
            self.delete(client, "delete_share_server", share_server=server["id"])

    def check_disks(self):
        deadline = time.monotonic() + 60
        left = "?"
        while left and time.monotonic() < deadline: # space comes back behind the calls
            time.sleep(0.5)
            left = shell(f"cd {self.dir}; for x in {' '.join(DISKS)}; do btrfs subvolume list $x; done; "
                         "find a b c d1 d2 -mindepth 1 -path '*/.sharesd' -prune -o -mindepth 1 -print; "
                         "find far/*/* -mindepth 1 -not -name '*.lock'; "
                         "find [abcd]*/.sharesd -mindepth 2 -not -name '*:'")
        if left:
            self.say_wrong("this is left:\n" + left)

    # ---- all of it ----

    def run(self, seconds, seed):
        r = random.Random(seed)
        deadline = time.monotonic() + seconds
        rounds = 0
        while time.monotonic() < deadline:
            stop = threading.Event()
            workers = [threading.Thread(target=self.work, args=(r.random(), stop)) for _ in range(4)]
            for worker in workers:
                worker.start()
            time.sleep(r.uniform(1.5, 5))
            self.disturb(r)
            stop.set()
            for worker in workers:
                worker.join()
            self.check(self.client())
            rounds += 1
        client = self.client()
        self.delete_all(client)
        self.check(client)
        self.check_disks()
        return rounds


def main():
    build, seconds, seed = os.path.abspath(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    directory = tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    os.chmod(directory, 0o755)
    soak = Soak(build, directory)
    try:
        soak.begin()
        rounds = soak.run(seconds, seed)
    finally:
        soak.end()
    for (method, kind), n in sorted(soak.outcomes.items()):
        print(f"{n:7} {method}: {kind}")
    for (method, kind, message), n in soak.failures.most_common(20):
        print(f"{n:7} {method}: {kind}: {message}")
    print(f"{rounds} rounds, {sum(soak.outcomes.values())} calls, seed {seed}: {soak.wrong} things are wrong")
    if soak.wrong:
        print(f"see {directory}/log")
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
