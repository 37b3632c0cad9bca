"""HookBase under Manila's name."""
import sharesd.hook

HookBase = sharesd.hook.HookBase
