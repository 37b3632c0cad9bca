"""The hook of the comparison: written as for Manila, it notes what it is told and does what the plan says.

Three classes, so that three hooks of one backend can be told apart; `make` gives them their base class.
"""
import json
import os

PLACE = os.path.dirname(os.path.abspath(__file__))


def shown(value):
    """JSON, or what it is instead."""
    if isinstance(value, BaseException):
        return {"exception": f"{type(value).__name__}: {value}"}
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {"tuple": [shown(item) for item in value]}
    return [shown(item) for item in value] if isinstance(value, list) else value


def make(base):
    class Recorder(base):
        number = 0

        def _note(self, phase, **what):
            with open(os.path.join(PLACE, "plan.json")) as f:
                plan = json.load(f)
            line = {"row": plan["row"], "hook": self.number, "phase": phase, "pid": os.getpid(), **what}
            with open(os.path.join(PLACE, "log"), "a") as f:
                f.write(json.dumps(shown(line)) + "\n")
            return plan[phase][self.number - 1] if phase in plan else None

        def _execute_pre_hook(self, context, func_name, *args, **kwargs):
            does = self._note("pre", func_name=func_name, args=list(args), kwargs=sorted(kwargs),
                              request_id=bool(context.request_id), admin=context.is_admin)
            if does == "fail":
                raise ValueError(f"pre {self.number}")
            if does == "tuple":
                return {"pair": (1, 2)}
            if does == "object":
                return {"lock": object}
            return {"from": self.number} if does == "data" else None

        def _execute_post_hook(self, context, func_name, pre_hook_data, driver_action_results, *args, **kwargs):
            does = self._note("post", func_name=func_name, args=list(args), kwargs=sorted(kwargs),
                              pre_hook_data=pre_hook_data, results=driver_action_results,
                              event=getattr(self, "event", None) and {"pre_hook_error": self.event["pre_hook_error"]})
            if does == "fail":
                raise ValueError(f"post {self.number}")
            if does == "change":
                driver_action_results["metadata"][f"changed-{self.number}"] = "in place"
            if does == "return":
                return {"metadata": {"returned": str(self.number)}}

        def _execute_periodic_hook(self, context, periodic_hook_data, *args, **kwargs):
            if self._note("periodic", shares=len(periodic_hook_data)) == "fail":
                raise ValueError(f"periodic {self.number}")

        def _execute_error_hook(self, context, func_name, pre_hook_data, error, *args, **kwargs):
            self._note("error", func_name=func_name)

    return [type(name, (Recorder,), {"number": i + 1}) for i, name in enumerate(("First", "Second", "Third"))]
