"""The process of one hook: makes the object, and hands it one event after another.

The daemon's first line says which class and with which options; the answer is what the hook wants to be asked, or why it
cannot serve. From then on each line is an event with an "id", and each answer a line with the same "id".
"""
import importlib
import importlib.util
import inspect
import json
import logging
import os
import re
import stat
import sys
import traceback

import sharesd.hook
from sharesd import answer
from sharesd.event import Configuration, Context, keywords

PHASES = ("pre", "post", "periodic", "error")
PACKAGE = os.path.dirname(os.path.abspath(__file__))


class Unusable(Exception):
    """The conf file names what is not there or not fit. Its text is all that there is to say."""


class Channel:
    """The lines to and from the daemon, out of the hook's way: its prints go to standard error, that is to the log."""

    def __init__(self):
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        sys.stdout.reconfigure(line_buffering=True)

    def read(self):
        """The next line's value, or None at the end."""
        line = self._in.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def write(self, line):
        data = line.encode("ascii") + b"\n"
        while data:
            data = data[os.write(self._out, data):]


# ---- failures ----

def report(problem):
    """The traceback goes to standard error, and its last line is the answer."""
    if isinstance(problem, (Unusable, answer.BadAnswer)):
        return str(problem)
    tb = problem.__traceback__
    while tb and os.path.dirname(tb.tb_frame.f_code.co_filename) == PACKAGE and tb.tb_next:
        tb = tb.tb_next
    traceback.print_exception(type(problem), problem, tb, limit=-50)
    name = type(problem).__name__
    try:
        words = re.sub(r"\s+", " ", str(problem)).strip()
    except Exception:
        words = "its text cannot be had"
    words = words.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
    return f"{name}: {words[:2000]}" if words else name


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # The hook has closed it, or put something else in its place.


# ---- the class ----

def check_owner(path, uid):
    """Nobody but root and the daemon's user may write what is run, nor put another file in its place."""
    try:
        st = os.stat(path)
    except FileNotFoundError:
        return
    if st.st_uid not in (0, uid):
        raise Unusable(f"{path} is not used, for it belongs to another user than root and the daemon's: "
                       "change its owner with chown")
    if st.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unusable(f"{path} is not used, for others may write it: take that away with chmod go-w")


def find(name, path, uid):
    """Imports each package on the way, and looks at its file before."""
    module = None
    parts = name.split(".")
    for i in range(len(parts)):
        here = ".".join(parts[:i + 1])
        try:
            spec = importlib.util.find_spec(here)
        except ModuleNotFoundError:
            spec = None
        if spec is None:
            raise Unusable(f"there is no Python module {here}: neither in python_path ({', '.join(path) or 'empty'}) "
                           "nor where Python looks itself")
        if spec.origin and os.path.isabs(spec.origin):
            check_owner(spec.origin, uid)
        module = importlib.import_module(here)
    return module


def bases():
    """What a hook's class may come from: ours, and Manila's or its stand-in where something has imported it."""
    manila = sys.modules.get("manila.share.hook")
    return tuple({sharesd.hook.HookBase, getattr(manila, "HookBase", sharesd.hook.HookBase)})


def find_class(setup):
    name, _, class_name = setup["class"].partition(":")
    for directory in setup["path"]:
        check_owner(directory, setup["uid"])
    sys.path[:0] = setup["path"]
    # Last, so that it is found only where Manila is not installed.
    sys.path.append(os.path.join(os.path.dirname(PACKAGE), "stand-in"))
    module = find(name, setup["path"], setup["uid"])
    where = getattr(module, "__file__", None) or "built in"
    found = getattr(module, class_name, None)
    if found is None:
        raise Unusable(f"the Python module {name} ({where}) has no class {class_name}")
    if not inspect.isclass(found) or not issubclass(found, bases()):
        raise Unusable(f"{class_name} in {where} is no subclass of HookBase, neither of sharesd.hook's nor "
                       "of manila.share.hook's")
    return found


def redefines(cls, name):
    owner = next((c for c in cls.__mro__ if name in c.__dict__), None)
    return owner is not None and owner not in bases()


def wants(hook):
    """What it says itself, else the phases for which it has redefined something."""
    said = getattr(hook, "wants", None)
    if said is not None:
        if not isinstance(said, (list, tuple)) or not all(isinstance(event, str) for event in said):
            raise Unusable("the hook's attribute wants must be a list of texts such as \"pre-create_share_instance\"")
        return list(said)
    return [phase if phase == "periodic" else phase + "-*" for phase in PHASES
            if redefines(type(hook), f"execute_{phase}_hook") or redefines(type(hook), f"_execute_{phase}_hook")]


def make(setup):
    cls = find_class(setup)
    hook = cls(configuration=Configuration(setup["options"]), host=setup["host"])
    if not isinstance(hook, sharesd.hook.HookBase):
        # Manila's looks at these for itself. Here the daemon does, and must hear of what went wrong.
        hook.pre_hooks_enabled = hook.post_hooks_enabled = hook.periodic_hooks_enabled = True
        hook.suppress_pre_hooks_errors = hook.suppress_post_hooks_errors = False
    return hook


# ---- events ----

def serve_pre(hook, event, context, room):
    data = hook.execute_pre_hook(context=context, func_name=event["func_name"], **keywords(event))
    answer.check(data, "what the pre hook returned", room)
    return data


def serve_post(hook, event, context, room):
    results = event.get("driver_action_results")
    results = {} if results is None else results
    before = answer.text(results, sort=True)
    returned = hook.execute_post_hook(context=context, func_name=event["func_name"],
                                      pre_hook_data=event.get("pre_hook_data"), driver_action_results=results,
                                      **keywords(event))
    if returned is None and answer.is_text(results, before):
        return None
    new = answer.changes(json.loads(before), results, returned, room - 1)
    return {"driver_action_results": new} if new else None


def serve_periodic(hook, event, context, _room):
    hook.execute_periodic_hook(context=context, periodic_hook_data=event.get("periodic_hook_data"))


def serve_error(hook, event, context, _room):
    hook.execute_error_hook(context=context, func_name=event["func_name"], pre_hook_data=event.get("pre_hook_data"),
                            error=event.get("error"), **keywords(event))


SERVE = {"pre": serve_pre, "post": serve_post, "periodic": serve_periodic, "error": serve_error}


def serve(hook, event, setup):
    """The members of the answer beside its id."""
    fields = event.get("context") or {}
    if fields.get("call_id"):
        os.environ["SHARESD_CALL_ID"] = str(fields["call_id"])
    else:
        os.environ.pop("SHARESD_CALL_ID", None)
    hook.event = event
    try:
        result = SERVE[event["phase"]](hook, event, Context(fields), setup["max_depth"])
        return {} if result is None else {"result": result}
    except sharesd.hook.Veto as veto:
        return {"veto": report_text(veto)}
    except BaseException as problem:  # SystemExit too: the hook fails, its process goes on.
        return {"error": report(problem)}
    finally:
        hook.event = None


def report_text(veto):
    return str(veto).encode("utf-8", "replace").decode("utf-8").replace("\0", "?").strip()


def line_for(number, members, limit):
    line = answer.text({"id": number, **members})
    if len(line) <= limit:
        return line
    return answer.text({"id": number, "error": f"the answer has {len(line)} bytes, but may have {limit}"})


def main():
    channel = Channel()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    setup = channel.read()
    if setup is None:
        return 0
    try:
        hook = make(setup)
        first = {"wants": wants(hook)}
    except BaseException as problem:  # A module that exits is no hook either.
        first = {"error": report(problem)}
    flush()
    channel.write(answer.text(first))
    me = os.getpid()
    while "wants" in first:
        event = channel.read()
        if event is None:
            return 0
        members = serve(hook, event, setup)
        flush()
        if os.getpid() != me:
            os._exit(0)  # A child that the hook made by fork and that came back out of it.
        channel.write(line_for(event.pop("id"), members, setup["max_answer"]))
    return 1
