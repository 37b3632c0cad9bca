"""What a hook's methods return, as the daemon takes it: JSON, and of driver_action_results what has changed."""
import json
import math

_INT_MIN, _INT_MAX = -2 ** 63, 2 ** 63 - 1
# Made once: json.dumps makes one for each call that is not its plainest.
_PLAIN = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_SORTED = json.JSONEncoder(allow_nan=False, sort_keys=True, separators=(",", ":"))


class BadAnswer(Exception):
    """The hook returned what the daemon cannot take. A fault of the hook's, without a traceback worth showing."""


def _a(value):
    name = type(value).__name__
    return ("an " if name[:1] in "aeiouAEIOU" else "a ") + name


def check(value, what, room):
    """That JSON can hold it, within `room` levels of nesting. Says what cannot be held, and where it stands."""
    if isinstance(value, (dict, list, tuple)):
        _check_members(value, what, room)
    elif isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value) or "\0" in value:
            raise BadAnswer(f"{what} holds characters that are no text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise BadAnswer(f"{what} is {value}, which JSON cannot hold")
    elif isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise BadAnswer(f"{what} is a number of more than 64 bits")
    elif value is not None:
        raise BadAnswer(f"{what} is {_a(value)}, which JSON cannot hold")


def _check_members(value, what, room):
    if room <= 0:
        raise BadAnswer("what the hook returned is nested too deep, or holds itself")
    if not isinstance(value, dict):
        for i, item in enumerate(value):
            check(item, f"{what}[{i}]", room - 1)
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise BadAnswer(f"{what} has a key that is {_a(key)}, but keys are texts")
        check(key, f"a key of {what}", room)
        check(item, f"{what}[{json.dumps(key)}]", room - 1)


def text(value, sort=False):
    """On one line. True and 1, 1 and 1.0 differ, as they do for the daemon."""
    return (_SORTED if sort else _PLAIN).encode(value)


def is_text(value, line):
    """Whether this is the value's sorted text. What has none is not the same."""
    try:
        return text(value, sort=True) == line
    except (TypeError, ValueError, RecursionError):
        return False


def changes(before, after, returned, room):
    """The keys to replace: what was changed in place, then what was returned, without what is as it was."""
    if returned is not None and not isinstance(returned, dict):
        raise BadAnswer(f"the post hook returned {_a(returned)}, but it returns a dict or None")
    gone = [key for key in before if key not in after]
    if gone:
        raise BadAnswer(f"the post hook took \"{gone[0]}\" out of driver_action_results, but can only replace it")
    new = {**after, **(returned or {})}
    check(new, "driver_action_results", room)
    return {key: value for key, value in new.items()
            if key not in before or text(before[key], sort=True) != text(value, sort=True)}
