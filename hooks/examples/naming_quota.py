"""A policy in Python: names follow a pattern, and no user has more than so much in all his shares.

    hook "naming-quota" {
        run     = "python:naming_quota:NamingQuota"    # this file, in /etc/sharesd/hooks
        phases  = {"pre"}
        options = {"name_pattern=[a-z][a-z0-9-]{2,30}", "quota_per_user=2TiB"}
    }

Either option may be left out. What is adopted (manage_share) must have a good name too. Where it cannot decide it fails, so that the call does not go on either.
"""
import json
import os
import re
import socket

from sharesd.hook import HookBase, Veto


def bytes_of(text):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGTPE]?)(iB|B)?", text)
    if not match:
        raise ValueError(f"{text!r} is no size: write it as 500GiB")
    number, unit, end = match.groups()
    return int(float(number) * (1000 if end == "B" else 1024) ** " KMGTPE".index(unit or " "))


def all_shares():
    """Reads are answered while a hook runs; what would change something is refused."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["SHARESD_SOCKET"])
        lines = connection.makefile("rw")
        params = {"limit": 1000}
        while True:
            request = {"jsonrpc": "2.0", "id": 1, "method": "list_shares", "params": params}
            lines.write(json.dumps(request) + "\n")
            lines.flush()
            page = json.loads(lines.readline())["result"]
            yield from page["shares"]
            if not page["next"]:
                return
            params["after"] = page["next"]


class NamingQuota(HookBase):
    wants = ["pre-create_share_instance", "pre-manage_share", "pre-extend_share"]

    def __init__(self, configuration, host):
        super().__init__(configuration, host)
        pattern, quota = self.get_config_option("name_pattern"), self.get_config_option("quota_per_user")
        self.pattern = re.compile(pattern) if pattern else None
        self.quota = bytes_of(quota) if quota else None

    def _execute_pre_hook(self, context, func_name, *args, **kwargs):
        if self.pattern and func_name != "extend_share" and not self.pattern.fullmatch(kwargs["name"]):
            raise Veto(f"a share's name must match {self.pattern.pattern}, and {kwargs['name']} does not")
        if self.quota is None or func_name == "manage_share":
            return
        if func_name == "extend_share":
            share = self.event["objects"]["share"]
            owner, more = share["owner_uid"], kwargs["size_bytes"] - share["size_bytes"]
        else:
            owner, more = context.uid, kwargs["size_bytes"]
        used = sum(share["size_bytes"] for share in all_shares() if share["owner_uid"] == owner)
        if used + more > self.quota:
            raise Veto(f"user {owner} may have {self.get_config_option('quota_per_user')} in all shares, "
                       f"has {used} bytes, and this would add {more}")
