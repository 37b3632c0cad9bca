"""What a hook in Python is made of: see sharesd-hooks(7).

A hook is a subclass of HookBase, named in the conf file as "python:package.module:Class". One object of it is made in a
process of its own before the backend is set up, and serves all events of that backend, one after another.
"""


class Veto(Exception):
    """Raised by a pre hook: the call is refused, and its text is what the caller reads. Never suppressed."""


class HookBase:
    """The methods that start with an underscore are there to be redefined; those that are not cost nothing.

    A class may say more exactly what it wants to be asked with an attribute `wants`, a list of events such as
    "pre-create_share_instance", "post-*", "periodic" or "error-extend_share".
    """

    # The whole event that is being served, as the manual shows it.
    event = None

    def __init__(self, configuration, host):
        """`configuration` answers safe_get(option); `host` is HOST@BACKEND."""
        self.configuration = configuration
        self.host = host
        self.pre_hooks_enabled = self.get_config_option("enable_pre_hooks")
        self.post_hooks_enabled = self.get_config_option("enable_post_hooks")
        self.periodic_hooks_enabled = self.get_config_option("enable_periodic_hooks")
        self.suppress_pre_hooks_errors = self.get_config_option("suppress_pre_hooks_errors")
        self.suppress_post_hooks_errors = self.get_config_option("suppress_post_hooks_errors")

    def get_config_option(self, key):
        """The option of the hook's own section, its backend, the top level or the default; None where it is nowhere."""
        return self.configuration.safe_get(key) if self.configuration else None

    # What the daemon calls. Whether a phase is enabled and a failure suppressed is the daemon's to decide.

    def execute_pre_hook(self, context=None, func_name=None, *args, **kwargs):
        return self._execute_pre_hook(context, func_name, *args, **kwargs)

    def execute_post_hook(self, context=None, func_name=None, pre_hook_data=None, driver_action_results=None,
                          *args, **kwargs):
        return self._execute_post_hook(context, func_name, pre_hook_data, driver_action_results, *args, **kwargs)

    def execute_periodic_hook(self, context, periodic_hook_data, *args, **kwargs):
        return self._execute_periodic_hook(context, periodic_hook_data, *args, **kwargs)

    def execute_error_hook(self, context=None, func_name=None, pre_hook_data=None, error=None, *args, **kwargs):
        return self._execute_error_hook(context, func_name, pre_hook_data, error, *args, **kwargs)

    # What a hook redefines.

    def _execute_pre_hook(self, context, func_name, *args, **kwargs):
        """Before the driver is called. What it returns (JSON) is given to its own post and error hook."""

    def _execute_post_hook(self, context, func_name, pre_hook_data, driver_action_results, *args, **kwargs):
        """After the driver was called. It may change driver_action_results, or return a dict of what to replace."""

    def _execute_periodic_hook(self, context, periodic_hook_data, *args, **kwargs):
        """Now and then. periodic_hook_data is a list of the backend's shares, each with its access_rules."""

    def _execute_error_hook(self, context, func_name, pre_hook_data, error, *args, **kwargs):
        """After a call failed. What it returns is dropped."""
