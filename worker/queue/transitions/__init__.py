"""How a job may change: the Lua scripts that Redis runs as one step each.

The record of a job is the truth; a message on the queue only says that there may be work. So whatever
happens to messages (lost, doubled, late, forged), the scripts here decide, and they keep one invariant:
**every job is in exactly one place**, a sorted set:

==========================  =========================================  ========================
place                       which jobs                                 score
==========================  =========================================  ========================
``bcd:waiting:<priority>``  queued, ready to be begun                  when its message was sent
``bcd:later``               queued, after trouble with the storage     when it is tried again
``bcd:running``             running                                    end of its holder's lease
``bcd:ended``               done, failed, cancelled                    since when
==========================  =========================================  ========================

Beside them: ``bcd:job:<id>`` the record, ``bcd:jobs`` all ids by the time of their first submission,
``bcd:study:<uid>`` those of a study and ``bcd:batch:<name>`` those of a batch likewise, ``bcd:batches`` the
names of the batches by their last use and ``bcd:batches:begun`` by their first, ``bcd:states`` how many jobs
are in each state, ``bcd:front:<priority>`` when the message was sent that was the last to begin a job. Times
that people see are seconds since 1970 by Redis's own clock, so that the clocks of the workers do not matter.

Scores, and all else that something is waited for by, go by the *queue's clock*: it began with Redis's, but
takes no part in its leaps (a clock that is set, a virtual machine that is resumed). Each sweep writes down
both (``bcd:clock``). What has passed on Redis's clock since then counts if it can be true: no less than
nothing, and no more than half a lease, for workers sweep four times in one. A leap expires nothing, and
forgets nothing; where no worker sweeps, the queue's clock stands still.

A process that works on a job is its *holder*, as long as it renews its *lease*. What a holder that has
lost its job still wants to write is refused, so two that believe to hold the same job cannot disturb
each other.

A script is a file of this folder. Its head lists its arguments; ``fields`` are names and values of fields of
the record, any number of them. `common.lua` stands before each.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from worker.study.outcome import STATES

# Redis when full refuses a script only if what it writes first takes memory. What ends jobs, or deletes their
# records, has to go on then.
_ALSO_WHEN_FULL = "\n-- also when Redis is full\n"
_FREES = "redis.call('DEL', 'bcd:none')\n"

_STATES = ", ".join(f"['{state}'] = true" for state in STATES)
_COMMON = f"local STATES = {{{_STATES}}}\n" + (files(__name__) / "common.lua").read_text()


@cache
def script_text(name: str, arguments: tuple[str, ...]) -> str:
    """The script ``name`` whole, for ``arguments`` in this order."""
    text = (files(__name__) / f"{name}.lua").read_text()
    given = ", ".join(f"ARGV[{number}]" for number in range(1, len(arguments) + 1))
    named = f"local {', '.join(arguments)} = {given}\nlocal FIELDS = {len(arguments) + 1}\n"
    return _COMMON + (_FREES if _ALSO_WHEN_FULL in text else "") + named + text
