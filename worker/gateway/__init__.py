"""The HTTP gateway: studies in, jobs watched, results out, for programs that stand on another machine.

It puts jobs on the same queue as all other commands, and never imports torch. ``docs/reference/http-api.md``
says what it speaks.
"""
