from manila.share import hook

import recorder

First, Second, Third = recorder.make(hook.HookBase)
