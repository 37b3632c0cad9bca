"""Events as a hook's methods see them: the context, and the keyword arguments with Manila's names."""

GIB = 1024 ** 3

# Methods whose own "id" is that of the object that they make.
_MAKES = {
    "create_share_instance": "share_id",
    "manage_share": "share_id",
    "create_snapshot": "snapshot_id",
    "create_replicated_snapshot": "snapshot_id",
    "manage_snapshot": "snapshot_id",
    "allow_access": "access_id",
    "create_share_replica": "share_replica_id",
    "create_share_server": "share_server_id",
}
# Parameters that hold an object's id.
_NAMES = {
    "share": "share_id",
    "instance_id": "share_instance_id",
    "snapshot": "snapshot_id",
    "access": "access_id",
    "replica": "share_replica_id",
    "share_server": "share_server_id",
}


class Configuration:
    """The options that a hook sees, with what Manila's object of this name offers hooks."""

    def __init__(self, options):
        self._options = options

    def safe_get(self, key):
        return self._options.get(key)

    def append_config_values(self, options):
        """For Manila's HookBase: all options are there already."""

    def __getattr__(self, key):
        try:
            return self.__dict__["_options"][key]
        except KeyError:
            raise AttributeError(f"there is no option {key}") from None


class Context:
    """Who called: the members of the event's "context", and those of Manila's that have a meaning here."""

    def __init__(self, fields):
        self.__dict__.update(fields)
        uid = fields.get("uid")
        self.request_id = fields.get("request_id") or fields.get("call_id")
        self.user_id = None if uid is None else str(uid)
        self.project_id = None
        self.roles = []
        # Whoever may change something here may change everything.
        self.is_admin = True
        self.read_deleted = "no"
        self.remote_address = None

    def to_dict(self):
        return dict(self.__dict__)

    def elevated(self, *_args, **_kwargs):
        return self


def _instance_of(event):
    share = (event.get("objects") or {}).get("share") or {}
    instances = share.get("instances") or []
    active = [i for i in instances if i.get("replica_state") in (None, "active")]
    return active[0].get("id") if active else None


def keywords(event):
    """The call's args, and beside them the names that Manila has for the same things."""
    args = event.get("args") or {}
    objects = event.get("objects") or {}
    func_name = event["func_name"]
    more = {name: args[param] for param, name in _NAMES.items() if param in args}
    if func_name in _MAKES and args.get("id"):
        more[_MAKES[func_name]] = args["id"]
    if func_name == "create_share_instance":
        more.setdefault("snapshot_id", None)
    share_id = (objects.get("share") or {}).get("id") or (objects.get("snapshot") or {}).get("share_id")
    if share_id:
        more.setdefault("share_id", share_id)
    instance = _instance_of(event)
    if instance:
        more.setdefault("share_instance_id", instance)
    if func_name in ("extend_share", "shrink_share") and "size_bytes" in args:
        more["new_size"] = -(-args["size_bytes"] // GIB)
    return {**more, **args}
