"""A report of all shares of a backend, written anew at each tick of its timer.

    hook "usage-report" {
        run     = "python:usage_report:UsageReport"    # this file, in /etc/sharesd/hooks
        phases  = {"periodic"}
        options = {"report_file=/var/lib/sharesd/usage-media.csv", "warn_percent=90"}
    }

The backend needs enable_periodic_hooks = true, and may set periodic_hooks_interval. Shares that are fuller than
warn_percent are named in the log too; without it none is.
"""
import csv
import logging
import os

from sharesd.hook import HookBase

LOG = logging.getLogger(__name__)


class UsageReport(HookBase):
    def __init__(self, configuration, host):
        super().__init__(configuration, host)
        self.path = self.get_config_option("report_file")
        if not self.path:
            raise ValueError('report_file is not set: write options = {"report_file=/path/of/the/report.csv"}')
        self.warn_percent = float(self.get_config_option("warn_percent") or "inf")

    def _execute_periodic_hook(self, context, periodic_hook_data, *args, **kwargs):
        # Readers see the old report or the new one, never half of it.
        temporary = self.path + ".new"
        with open(temporary, "w", newline="", encoding="utf-8") as f:
            report = csv.writer(f)
            report.writerow(["time", "share", "status", "owner_uid", "size_bytes", "used_bytes", "percent", "rules"])
            for share in periodic_hook_data:
                report.writerow(self.row(share))
        os.replace(temporary, self.path)

    def row(self, share):
        size, used = share["size_bytes"], share["used_bytes"]
        percent = "" if used is None or not size else round(100 * used / size, 1)
        if percent != "" and percent > self.warn_percent:
            LOG.warning("share %s is %s %% full", share["name"], percent)
        return [self.event["time"], share["name"], share["status"], share["owner_uid"], size,
                "" if used is None else used, percent, len(share["access_rules"])]
