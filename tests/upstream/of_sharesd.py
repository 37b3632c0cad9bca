import sharesd.hook

import recorder

First, Second, Third = recorder.make(sharesd.hook.HookBase)
