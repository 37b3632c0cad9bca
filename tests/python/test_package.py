"""What hooks see and what they may answer, without a daemon."""
import contextlib
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import types
import unittest

import sharesd.hook
from sharesd import answer, event, runner

# Beside the tests, in the build.
RUNNER = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "..", "sharesd-python")


class Keywords(unittest.TestCase):
    SHARE = {"id": "s1", "instances": [{"id": "i0", "replica_state": "in_sync"}, {"id": "i1", "replica_state": "active"}]}
    PLAIN = {"id": "s1", "instances": [{"id": "i1", "replica_state": None}]}
    # func_name, args, objects, what is added to args
    ROWS = [
        ("create_share_instance", {"id": "n", "name": "a", "instance_id": "i1"}, {},
         {"share_id": "n", "snapshot_id": None, "share_instance_id": "i1"}),
        ("create_share_instance", {"id": "n", "snapshot": "p"}, {"snapshot": {"id": "p", "share_id": "s1"}},
         {"share_id": "n", "snapshot_id": "p"}),
        ("delete_share_instance", {"share": "s1", "force": False}, {"share": PLAIN},
         {"share_id": "s1", "share_instance_id": "i1"}),
        ("extend_share", {"share": "s1", "size_bytes": 2 * event.GIB}, {"share": SHARE},
         {"share_id": "s1", "share_instance_id": "i1", "new_size": 2}),
        ("shrink_share", {"share": "s1", "size_bytes": 2 * event.GIB + 1}, {"share": PLAIN},
         {"share_id": "s1", "share_instance_id": "i1", "new_size": 3}),
        ("manage_share", {"id": "n", "driver_options": {}}, {}, {"share_id": "n"}),
        ("unmanage_share", {"share": "s1"}, {"share": PLAIN}, {"share_id": "s1", "share_instance_id": "i1"}),
        ("allow_access", {"id": "r", "share": "s1"}, {"share": PLAIN},
         {"share_id": "s1", "share_instance_id": "i1", "access_id": "r"}),
        ("deny_access", {"access": "r", "share": "s1"}, {"share": PLAIN},
         {"share_id": "s1", "share_instance_id": "i1", "access_id": "r"}),
        ("create_snapshot", {"id": "p", "share": "s1"}, {"share": PLAIN},
         {"share_id": "s1", "share_instance_id": "i1", "snapshot_id": "p"}),
        ("delete_snapshot", {"snapshot": "p"}, {"snapshot": {"id": "p", "share_id": "s1"}},
         {"share_id": "s1", "snapshot_id": "p"}),
        ("revert_to_snapshot", {"snapshot": "p"}, {"snapshot": {"id": "p", "share_id": "s1"}, "share": PLAIN},
         {"share_id": "s1", "snapshot_id": "p", "share_instance_id": "i1"}),
        ("create_share_replica", {"id": "i9", "share": "s1"}, {"share": SHARE},
         {"share_id": "s1", "share_instance_id": "i1", "share_replica_id": "i9"}),
        ("promote_share_replica", {"replica": "i0"}, {"share": SHARE},
         {"share_id": "s1", "share_instance_id": "i1", "share_replica_id": "i0"}),
        ("create_share_server", {"id": "v"}, {}, {"share_server_id": "v"}),
        ("delete_share_server", {"share_server": "v"}, {}, {"share_server_id": "v"}),
        ("init_host", {"backend": "b"}, {}, {}),
    ]

    def test_rows(self):
        for func_name, args, objects, more in self.ROWS:
            with self.subTest(func_name):
                got = event.keywords({"func_name": func_name, "args": args, "objects": objects})
                self.assertEqual(got, {**args, **more})

    def test_args_win(self):
        got = event.keywords({"func_name": "x", "args": {"share": "s1", "share_id": "mine"}, "objects": None})
        self.assertEqual(got["share_id"], "mine")


class Surroundings(unittest.TestCase):
    def test_context(self):
        context = event.Context({"uid": 1000, "user": "ann", "request_id": None, "call_id": "c", "origin": "client"})
        self.assertEqual((context.user_id, context.user, context.request_id, context.origin), ("1000", "ann", "c", "client"))
        self.assertIs(context.elevated(), context)
        self.assertEqual(context.to_dict()["call_id"], "c")
        self.assertIsNone(event.Context({"uid": None}).user_id)
        self.assertEqual(event.Context({"request_id": "r", "call_id": "c"}).request_id, "r")

    def test_configuration(self):
        configuration = event.Configuration({"color": "blue"})
        self.assertEqual(configuration.safe_get("color"), "blue")
        self.assertIsNone(configuration.safe_get("taste"))
        self.assertEqual(configuration.color, "blue")
        with self.assertRaises(AttributeError):
            configuration.taste
        configuration.append_config_values([])
        self.assertTrue(configuration)

    def test_base(self):
        hook = sharesd.hook.HookBase(event.Configuration({"enable_pre_hooks": True}), "nas1@media")
        self.assertEqual((hook.host, hook.pre_hooks_enabled, hook.post_hooks_enabled), ("nas1@media", True, None))
        self.assertIsNone(hook.execute_pre_hook(None, "extend_share", share_id="s"))
        self.assertIsNone(hook.execute_post_hook(None, "extend_share", None, {}, share_id="s"))
        self.assertIsNone(hook.execute_periodic_hook(None, []))
        self.assertIsNone(hook.execute_error_hook(None, "extend_share", None, {}, share_id="s"))
        self.assertIsNone(sharesd.hook.HookBase(None, "h").get_config_option("color"))

    def test_methods_get_what_was_given(self):
        class Echo(sharesd.hook.HookBase):
            def _execute_pre_hook(self, *args, **kwargs):
                return args, kwargs

            _execute_post_hook = _execute_periodic_hook = _execute_error_hook = _execute_pre_hook

        hook = Echo(None, "h")
        self.assertEqual(hook.execute_pre_hook("c", "f", 1, a=2), (("c", "f", 1), {"a": 2}))
        self.assertEqual(hook.execute_post_hook("c", "f", "d", "r", 1, a=2), (("c", "f", "d", "r", 1), {"a": 2}))
        self.assertEqual(hook.execute_periodic_hook("c", "d", 1, a=2), (("c", "d", 1), {"a": 2}))
        self.assertEqual(hook.execute_error_hook("c", "f", "d", "e", 1, a=2), (("c", "f", "d", "e", 1), {"a": 2}))


class Answers(unittest.TestCase):
    def test_good(self):
        for value in (None, True, 0, -2 ** 63, 1.5, "", "café", [], {}, [{"a": (1,)}], {"": None}):
            with self.subTest(value):
                answer.check(value, "x", 8)
                json.loads(answer.text(value))

    def test_bad(self):
        for value, words in ((math.inf, "x is inf"), (-2 ** 63 - 1, "64 bits"), (b"x", "x is a bytes"),
                             ({"k": [object()]}, 'x["k"][0] is an object'), ({None: 1}, "key that is a NoneType"),
                             ("\udc00", "no text"), ({"a": {"b\0": 1}}, "no text"), ([[[]]], "too deep")):
            with self.subTest(words), self.assertRaises(answer.BadAnswer) as caught:
                answer.check(value, "x", 2)
            self.assertIn(words, str(caught.exception))

    def test_changes(self):
        before = {"a": [1], "b": {"c": 1}}
        for after, returned, want in ((before, None, {}), (before, {}, {}), (before, before, {}),
                                      ({"a": [1, 2], "b": {"c": 1}}, None, {"a": [1, 2]}),
                                      (before, {"b": {"c": 2}}, {"b": {"c": 2}}),
                                      ({"a": [], "b": {"c": 1}}, {"a": [3]}, {"a": [3]}),
                                      ({"a": [], "b": {"c": 1}}, {"a": [1]}, {}),
                                      (before, {"b": {"c": True}}, {"b": {"c": True}}),
                                      (before, {"b": {"c": 1.0}}, {"b": {"c": 1.0}}), (before, {"n": None}, {"n": None})):
            with self.subTest(after=after, returned=returned):
                got = answer.changes(before, after, returned, 8)
                self.assertEqual(answer.text(got), answer.text(want))

    def test_no_changes(self):
        for after, returned in (({}, None), ({}, {"a": 2}), ({"a": 1}, "x"), ({"a": 1}, ["a"]), ({"a": object()}, None)):
            with self.subTest(after=after, returned=returned), self.assertRaises(answer.BadAnswer):
                answer.changes({"a": 1}, after, returned, 8)


class Running(unittest.TestCase):
    def test_wants(self):
        class Pre(sharesd.hook.HookBase):
            def _execute_pre_hook(self, *args, **kwargs):
                pass

        class More(Pre):
            def execute_error_hook(self, *args, **kwargs):
                pass

        class Mixed(More, sharesd.hook.HookBase):
            wants = ["periodic"]

        self.assertEqual(runner.wants(sharesd.hook.HookBase(None, "h")), [])
        self.assertEqual(runner.wants(Pre(None, "h")), ["pre-*"])
        self.assertEqual(runner.wants(More(None, "h")), ["pre-*", "error-*"])
        self.assertEqual(runner.wants(Mixed(None, "h")), ["periodic"])

    def test_report(self):
        with contextlib.redirect_stderr(io.StringIO()) as log:
            try:
                raise KeyError("x")
            except KeyError as problem:
                self.assertEqual(runner.report(problem), "KeyError: 'x'")
        self.assertIn("Traceback", log.getvalue())
        self.assertTrue(log.getvalue().endswith("KeyError: 'x'\n"))
        with contextlib.redirect_stderr(io.StringIO()) as log:
            self.assertEqual(runner.report(runner.Unusable("no class")), "no class")
        self.assertEqual(log.getvalue(), "")

    def test_line_limit(self):
        self.assertEqual(runner.line_for(7, {}, 100), '{"id":7}')
        self.assertIn('"error":"the answer has 229 bytes, but may have 100"', runner.line_for(7, {"result": "x" * 209}, 100))

    def test_manila_base(self):
        """What Manila's own HookBase would swallow or leave out is the daemon's to decide."""
        class HookBase:
            def __init__(self, configuration, host):
                configuration.append_config_values([])
                self.pre_hooks_enabled = configuration.safe_get("enable_pre_hooks")
                self.suppress_pre_hooks_errors = configuration.safe_get("suppress_pre_hooks_errors")

        class Hook(HookBase):
            def _execute_pre_hook(self, context, func_name, *args, **kwargs):
                pass

        module = types.ModuleType("manila.share.hook")
        module.HookBase = HookBase
        mine = types.ModuleType("test_manila_base")
        mine.Hook = Hook
        mine.__spec__ = types.SimpleNamespace(origin=None)
        saved = list(sys.path), sys.modules.get("manila.share.hook")
        sys.modules.update({"manila.share.hook": module, "test_manila_base": mine})
        try:
            hook = runner.make({"class": "test_manila_base:Hook", "path": [], "uid": 0, "host": "h",
                                "options": {"enable_pre_hooks": False, "suppress_pre_hooks_errors": True}})
            self.assertTrue(hook.pre_hooks_enabled)
            self.assertFalse(hook.suppress_pre_hooks_errors)
            self.assertEqual(runner.wants(hook), ["pre-*"])
        finally:
            sys.path[:] = saved[0]
            del sys.modules["manila.share.hook"], sys.modules["test_manila_base"]
            if saved[1]:
                sys.modules["manila.share.hook"] = saved[1]


class Process(unittest.TestCase):
    """The runner itself, where no other packages can be found."""

    def talk(self, source, *lines):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o700)
            path = os.path.join(directory, "m.py")
            with open(path, "w") as f:
                f.write(source)
            os.chmod(path, 0o600)
            setup = {"class": "m:Hook", "host": "nas1@media", "path": [directory], "uid": os.geteuid(), "options": {},
                     "max_depth": 32, "max_answer": 1048576}
            text = "".join(json.dumps(line) + "\n" for line in (setup, *lines))
            done = subprocess.run(["/usr/bin/python3", "-ISB", RUNNER], input=text.encode(), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=120, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()

    def test_class_for_manila_without_manila(self):
        source = ("from manila.share import hook\nimport manila.share.hook as again\nimport sys\n\n"
                  "class Hook(hook.HookBase):\n"
                  "    def _execute_pre_hook(self, context, func_name, *args, **kwargs):\n"
                  "        print('out')\n"
                  "        return [func_name, kwargs['share_id'], context.user_id, hook.__file__, hook is again]\n"
                  "    def _execute_post_hook(self, context, func_name, pre_hook_data, driver_action_results,\n"
                  "                           *args, **kwargs):\n"
                  "        driver_action_results['metadata'] = {'by': pre_hook_data}\n"
                  "    def _execute_periodic_hook(self, context, periodic_hook_data, *args, **kwargs):\n"
                  "        raise ValueError(periodic_hook_data)\n")
        common = {"func_name": "extend_share", "context": {"uid": 5, "call_id": "c"}, "args": {"share": "s"}}
        code, said, log = self.talk(source, {"id": 1, "phase": "pre", **common},
                                    {"id": 2, "phase": "post", "pre_hook_data": "me",
                                     "driver_action_results": {"metadata": {}, "size_bytes": 1}, **common},
                                    {"id": 3, "phase": "periodic", "func_name": None, "context": {},
                                     "periodic_hook_data": [1]})
        self.assertEqual(code, 0, log)
        self.assertEqual(said[0], {"wants": ["pre-*", "post-*", "periodic"]})
        self.assertEqual(said[1]["result"][:3] + said[1]["result"][4:], ["extend_share", "s", "5", True])
        self.assertTrue(said[1]["result"][3].endswith("/stand-in/manila/share/hook.py"), said[1]["result"][3])
        self.assertEqual(said[2], {"id": 2, "result": {"driver_action_results": {"metadata": {"by": "me"}}}})
        self.assertEqual(said[3], {"id": 3, "error": "ValueError: [1]"})
        self.assertIn("out\n", log)
        self.assertIn("Traceback", log)

    def test_end_of_input(self):
        source = "from sharesd.hook import HookBase\nclass Hook(HookBase):\n    pass\n"
        self.assertEqual(self.talk(source)[:2], (0, [{"wants": []}]))
        done = subprocess.run(["/usr/bin/python3", "-ISB", RUNNER], input=b"", stdout=subprocess.PIPE, timeout=120,
                              check=False)
        self.assertEqual((done.returncode, done.stdout), (0, b""))

    def test_refusal(self):
        code, said, log = self.talk("raise SystemExit(0)\n")
        self.assertEqual((code, said), (1, [{"error": "SystemExit: 0"}]))
        self.assertIn("Traceback", log)


if __name__ == "__main__":
    unittest.main()
