"""A stand-in for OpenStack Manila, where it is not installed, for hooks that need no more of it than HookBase."""
