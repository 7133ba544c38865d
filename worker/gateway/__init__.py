"""The HTTP gateway: studies in, jobs watched, results out, for programs that stand on another machine.

It puts jobs on the same queue as everyone else, and never imports torch. ``docs/reference/http-api.md``
tells what it speaks.
"""
