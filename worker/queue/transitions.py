"""How a job may change: the Lua scripts that Redis runs as one step each.

The record of a job is the truth; a message on the queue only says that there may be work. So whatever
happens to messages (lost, doubled, late, forged), the scripts here decide, and they keep one invariant:
**every job is in exactly one place**, a sorted set:

==========================  =========================================  ========================
place                       which jobs                                 score
==========================  =========================================  ========================
``bcd:waiting:<lane>``      queued, ready to be begun                  when its message was sent
``bcd:later``               queued, after trouble with the storage     when it is tried again
``bcd:running``             running                                    end of its holder's lease
``bcd:ended``               done, failed, cancelled                    since when
==========================  =========================================  ========================

Beside them: ``bcd:job:<id>`` the record, ``bcd:jobs`` all ids by the time of their first submission,
``bcd:study:<uid>`` those of a study and ``bcd:batch:<name>`` those of a batch likewise, ``bcd:batches`` the
names of the batches by their last use and ``bcd:batches:begun`` by their first, ``bcd:states`` how many jobs
are in each state, ``bcd:front:<lane>`` when the message was sent that was the last to begin a job. Times that
people see are seconds since 1970 by Redis's own clock, so that the clocks of the workers do not matter.

Scores, and all else that something is waited for by, go by the *queue's clock*: it began with Redis's, but
takes no part in its leaps (a clock that is set, a virtual machine that is resumed). Each sweep writes down
both (``bcd:clock``). What has passed on Redis's clock since then counts if it can be true: no less than
nothing, and no more than half a lease, for workers sweep four times in one. A leap expires nothing, and
forgets nothing; where nobody sweeps, the queue's clock stands still.

A process that works on a job is its *holder*, as long as it renews its *lease*. What a holder that has
lost its job still wants to write is refused, so two that believe to hold the same job cannot disturb
each other.
"""

from __future__ import annotations

from typing import Final

from worker.study.outcome import STATES

_COMMON = (
    """
if redis.replicate_commands then redis.replicate_commands() end  -- Redis before 7: for TIME
local PLACES = {'bcd:waiting:interactive', 'bcd:waiting:batch', 'bcd:later', 'bcd:running', 'bcd:ended'}
local time = redis.call('TIME')
local wall = tonumber(time[1]) + tonumber(time[2]) / 1000000
local clock = redis.call('HMGET', 'bcd:clock', 'wall', 'now', 'most')
local passed, now = 0, wall
if clock[1] and clock[2] and clock[3] then
  passed = wall - tonumber(clock[1])
  now = tonumber(clock[2]) + math.max(0, math.min(passed, tonumber(clock[3])))
end
local MOST_LEASE, MOST_DELAY = 600, 86400  -- seconds; no setting gives more
local function record(id) return 'bcd:job:' .. id end
local STATES = {"""
    + ", ".join(f"['{state}'] = true" for state in STATES)
    + """}
local function kind(id) return redis.call('TYPE', record(id)).ok end
local function get(id, field)
  if kind(id) ~= 'hash' then return false end  -- somebody may have put something else there
  return redis.call('HGET', record(id), field)
end
local function set(id, ...) redis.call('HSET', record(id), ...) end
-- the state is not counted any more: the one it is in, or else the one that its place tells
local function uncount(id)
  local state = get(id, 'state')
  if not STATES[state] then
    state = redis.call('ZSCORE', 'bcd:running', id) and 'running'
    for _, where in ipairs({'bcd:waiting:interactive', 'bcd:waiting:batch', 'bcd:later'}) do
      state = state or (redis.call('ZSCORE', where, id) and 'queued')
    end
  end
  if state then redis.call('HINCRBY', 'bcd:states', state, -1) end
end
local function enter(id, state)
  if get(id, 'state') == state then return end
  uncount(id)
  redis.call('HINCRBY', 'bcd:states', state, 1)
  set(id, 'state', state)
end
local function place(id, where, score)
  for _, other in ipairs(PLACES) do
    if other ~= where then redis.call('ZREM', other, id) end
  end
  redis.call('ZADD', where, score, id)
end
-- the job belongs to the batch; what it is kept in is forgotten by a sweep, for Redis would go by its clock
local function enlist(id, batch, created)
  if batch == '' then return end
  redis.call('ZADD', 'bcd:batch:' .. batch, created, id)
  redis.call('PERSIST', 'bcd:batch:' .. batch)
  redis.call('ZADD', 'bcd:batches', now, batch)
  redis.call('ZADD', 'bcd:batches:begun', 'NX', wall, batch)
end
local function known(lane) return lane == 'interactive' or lane == 'batch' end
local function study_key(id) return 'bcd:study:' .. (get(id, 'study_instance_uid') or '') end
local function forget(id)
  uncount(id)
  redis.call('ZREM', study_key(id), id)
  redis.call('DEL', record(id))
  for _, where in ipairs(PLACES) do redis.call('ZREM', where, id) end
  redis.call('ZREM', 'bcd:jobs', id)
end
-- whether the scripts can work with the record: somebody may have changed it by hand
local function usable(id)
  local begun = string.gsub(get(id, 'begun') or '', 'e%+%d+$', '')  -- some Redis write 1.7957970194664497e+9
  if not (get(id, 'reason') and string.match(begun, '^%d+%.?%d*$')) then return false end
  for _, field in ipairs({'lost', 'attempts', 'tries'}) do
    local told = get(id, field) or ''
    -- HINCRBY takes nothing else
    if not string.match(told, '^%d+$') or string.format('%d', tonumber(told)) ~= told then return false end
  end
  return known(get(id, 'lane')) and STATES[get(id, 'state')]
end
-- leave nothing of a record that was found damaged, if it still is as it was read: its fields and values as a
-- JSON list, none if it was no hash; '' if there is nothing to forget
local function forget_damaged(id, read)
  if read == '' then return end
  local fields, found = cjson.decode(read), kind(id)
  if found == 'none' or (found == 'hash') ~= (#fields > 0) then return end
  if found == 'hash' and redis.call('HLEN', record(id)) * 2 ~= #fields then return end
  for i = 1, #fields, 2 do
    if get(id, fields[i]) ~= fields[i + 1] then return end
  end
  forget(id)
end
local function wait_again(id, updated, reason)
  enter(id, 'queued')
  set(id, 'film', 0, 'holder', '', 'due', 0, 'reason', reason, 'updated', updated)
  place(id, 'bcd:waiting:' .. get(id, 'lane'), now)
end
local function finish(id, state, updated, reason, code)
  enter(id, state)
  set(id, 'holder', '', 'due', 0, 'ended', wall, 'reason', reason, 'exit_code', code, 'updated', updated)
  place(id, 'bcd:ended', now)
end
-- somebody deleted its record by hand, which is forgotten, or what the scripts need of it, which ends it
local function gone(id, updated)
  if kind(id) == 'none' then
    forget(id)
    return 'forgotten'
  elseif kind(id) ~= 'hash' then
    uncount(id)
    place(id, 'bcd:ended', now)
  elseif usable(id) then
    return false
  else
    finish(id, 'failed', updated, 'its record was damaged; submit the study again', 1)
  end
  return 'damaged'
end
-- the holder is gone without an outcome: once more, unless that has happened too often
local function lose(id, most, updated)
  local lost = redis.call('HINCRBY', record(id), 'lost', 1)
  if lost < most then
    wait_again(id, updated, '')
    return 'queued'
  end
  finish(id, 'failed', updated, 'it ended its worker, or took too long, ' .. lost .. ' times; put aside', 1)
  return 'failed'
end
"""
)

# Redis when full refuses a script only if what it writes first takes memory. What ends jobs, or deletes their
# records, has to go on then.
_EVEN_IF_FULL = "redis.call('DEL', 'bcd:none')\n"

SUBMIT: Final = (
    _COMMON
    + """
-- what the result that stands is known by, until there is another
local KEPT = {
  created = true, scanned = true, failed_films = true, excluded_films = true, flagged = true, highest = true,
}
-- id, result is published (0/1), force (0/1), outs, created, lane, batch, updated,
-- what was found damaged, then the fields
local id, asked, lane, batch = ARGV[1], cjson.decode(ARGV[4]), ARGV[6], ARGV[7]
local out = asked[#asked]
forget_damaged(id, ARGV[9])
local state = get(id, 'state')
local under_way = state == 'queued' or state == 'running'
local done = (state == 'done' or state == 'done with failures') and ARGV[2] == '1' and ARGV[3] == '0'
enlist(id, batch, ARGV[5])
if not (under_way or done) then
  for i = 10, #ARGV, 2 do
    if not (state and KEPT[ARGV[i]]) then set(id, ARGV[i], ARGV[i + 1]) end
  end
  set(id, 'outs', ARGV[4], 'joined', #asked - 1, 'troubled', 0, 'batch', batch)
  redis.call('ZADD', 'bcd:jobs', 'NX', ARGV[5], id)
  redis.call('ZADD', study_key(id), ARGV[5], id)
  wait_again(id, ARGV[8], '')
  return {'queued', 1}
end
local kept = {}
for _, other in ipairs(cjson.decode(get(id, 'outs'))) do
  if other ~= out then table.insert(kept, other) end
end
table.insert(kept, out)
set(id, 'outs', cjson.encode(kept))
if batch ~= '' then set(id, 'batch', batch) end
if done then return {'done', 0} end
set(id, 'joined', (tonumber(get(id, 'joined')) or 0) + 1)
if ARGV[3] == '1' then set(id, 'replace', 1) end
-- somebody waits for what was only in a batch, or was to be tried later: now, then
if state == 'queued' and lane == 'interactive' then
  if get(id, 'lane') ~= lane or redis.call('ZSCORE', 'bcd:later', id) then
    set(id, 'lane', lane)
    wait_again(id, ARGV[8], '')
    return {'under way', 1}
  end
end
return {'under way', 0}
"""
)
"""A submission: ``{answer, whether a message is to be sent}``."""

RESTORE: Final = (
    _COMMON
    + """
-- id, state, created, out, updated, what was found damaged, then the fields
forget_damaged(ARGV[1], ARGV[6])
if redis.call('EXISTS', record(ARGV[1])) == 1 then return 0 end
for i = 7, #ARGV, 2 do set(ARGV[1], ARGV[i], ARGV[i + 1]) end
set(ARGV[1], 'outs', cjson.encode({ARGV[4]}), 'joined', 0, 'batch', '')
redis.call('ZADD', 'bcd:jobs', 'NX', ARGV[3], ARGV[1])
redis.call('ZADD', study_key(ARGV[1]), ARGV[3], ARGV[1])
finish(ARGV[1], ARGV[2], ARGV[5], '', get(ARGV[1], 'exit_code'))
return 1
"""
)
"""The record of a job whose result stands, though Redis has forgotten it."""

REFUSE: Final = (
    _COMMON
    + """
-- id, reason, exit code, outs, created, batch, updated, then the fields
local id, batch = ARGV[1], ARGV[6]
local state = get(id, 'state')
if state and state ~= 'failed' and state ~= 'cancelled' then return 0 end
for i = 8, #ARGV, 2 do set(id, ARGV[i], ARGV[i + 1]) end
set(id, 'outs', ARGV[4], 'joined', 0, 'batch', batch, 'refused', 1)
redis.call('ZADD', 'bcd:jobs', 'NX', ARGV[5], id)
redis.call('ZADD', study_key(id), ARGV[5], id)
enlist(id, batch, ARGV[5])
finish(id, 'failed', ARGV[7], ARGV[2], ARGV[3])
return 1
"""
)
"""A submission that cannot be worked on stands as a job that failed: 1; 0 if the job is under way or done."""

SUPERSEDE: Final = (
    _COMMON
    + _EVEN_IF_FULL
    + """
-- the job that goes, the job that takes its place, reason, updated, batch
local old, new = ARGV[1], ARGV[2]
if kind(old) ~= 'hash' or kind(new) ~= 'hash' then return 0 end
local state = get(old, 'state')
-- what is done stays in the batches of other days
local done = state == 'done' or state == 'done with failures'
for _, batch in ipairs(done and {ARGV[5]} or redis.call('ZRANGE', 'bcd:batches', 0, -1)) do
  local since = redis.call('ZSCORE', 'bcd:batch:' .. batch, old)
  if since then
    redis.call('ZREM', 'bcd:batch:' .. batch, old)
    redis.call('ZADD', 'bcd:batch:' .. batch, 'NX', since, new)
    if (get(new, 'batch') or '') == '' then set(new, 'batch', batch) end
  end
end
if done then return 1 end
-- nor may it come back and replace the whole by its part
set(old, 'superseded_by', new, 'replace', 0)
if state == 'queued' or state == 'running' then finish(old, 'cancelled', ARGV[4], ARGV[3], 1) end
return 1
"""
)
"""A job takes the place of another in its batches, and ends it if it is under way."""

CLAIM: Final = (
    _COMMON
    + """
-- id, holder, lease, most lost, updated
local id, holder = ARGV[1], ARGV[2]
local state = get(id, 'state')
local lane = get(id, 'lane')
if kind(id) == 'none' then return 'unknown' end
if not usable(id) then return 'damaged' end
if state == 'running' then
  if get(id, 'holder') == holder then return 'claimed' end  -- the answer was lost, and it asks again
  if now < tonumber(redis.call('ZSCORE', 'bcd:running', id) or 0) then return 'held' end
  if lose(id, tonumber(ARGV[4]), ARGV[5]) == 'failed' then return 'put aside' end
elseif state ~= 'queued' then
  return state
elseif now < tonumber(redis.call('ZSCORE', 'bcd:later', id) or 0) then
  return 'later'
end
-- how far the messages of this lane have come: one that was sent long before and is not here was lost
local since = tonumber(redis.call('ZSCORE', 'bcd:waiting:' .. lane, id) or 0)
if tonumber(get(id, 'begun')) == 0 and since > tonumber(redis.call('GET', 'bcd:front:' .. lane) or 0) then
  redis.call('SET', 'bcd:front:' .. lane, since)
end
enter(id, 'running')
redis.call('HINCRBY', record(id), 'attempts', 1)
set(id, 'holder', holder, 'film', 0, 'begun', wall, 'due', 0, 'reason', '', 'updated', ARGV[5])
place(id, 'bcd:running', now + ARGV[3])
return 'claimed'
"""
)
"""A process wants to work on the job: "claimed", or why not."""

RENEW: Final = (
    _COMMON
    + _EVEN_IF_FULL
    + """
-- id, holder, lease, updated, film ('' if it is the same)
if get(ARGV[1], 'holder') ~= ARGV[2] then return 0 end
if ARGV[5] ~= '' then set(ARGV[1], 'film', ARGV[5], 'updated', ARGV[4]) end
place(ARGV[1], 'bcd:running', now + ARGV[3])
return 1
"""
)
"""A sign of life of the holder; 0 if the job is not its own any more."""

END: Final = (
    _COMMON
    + _EVEN_IF_FULL
    + """
-- id, holder, number of outs published to (-1: any), state, reason, exit code, updated, then fields
local id = ARGV[1]
if get(id, 'holder') ~= ARGV[2] then return -1 end
local outs = tonumber(ARGV[3])
if outs >= 0 and #cjson.decode(get(id, 'outs')) > outs then return 0 end
for i = 8, #ARGV, 2 do set(id, ARGV[i], ARGV[i + 1]) end
finish(id, ARGV[4], ARGV[7], ARGV[5], ARGV[6])
return 1
"""
)
"""The holder is done: 1; 0 if a results folder was added meanwhile; -1 if the job is not its own any more."""

LATER: Final = (
    _COMMON
    + _EVEN_IF_FULL
    + """
-- id, holder, delay, reason, updated, patience
local id = ARGV[1]
if get(id, 'holder') ~= ARGV[2] or not usable(id) then return -1 end
local since = tonumber(get(id, 'troubled')) or 0
if since == 0 then
  since = now
  set(id, 'troubled', now)
end
if now + ARGV[3] - since > tonumber(ARGV[6]) then return 0 end
wait_again(id, ARGV[5], ARGV[4])
redis.call('HINCRBY', record(id), 'tries', 1)
set(id, 'due', wall + ARGV[3])
place(id, 'bcd:later', now + ARGV[3])
return 1
"""
)
"""The holder gives the job back, to be tried again after a delay: 1; 0 if that has gone on for too long."""

RELEASE: Final = (
    _COMMON
    + _EVEN_IF_FULL
    + """
-- id, what the holder's name begins with, lost (0/1), most lost, updated
local id, start = ARGV[1], ARGV[2]
if not usable(id) or get(id, 'state') ~= 'running' then return '' end
if string.sub(get(id, 'holder') or '', 1, #start) ~= start then return '' end
if ARGV[3] == '1' then return lose(id, tonumber(ARGV[4]), ARGV[5]) end
redis.call('HINCRBY', record(id), 'attempts', -1)
wait_again(id, ARGV[5], '')
return 'queued'
"""
)
"""The holder is known to be gone (lost), or hands the job back without having tried; its new state."""

CANCEL: Final = (
    _COMMON
    + _EVEN_IF_FULL
    + """
-- id, reason, only if nobody else has asked for it (0/1), updated
local state = get(ARGV[1], 'state')
if state ~= 'queued' and state ~= 'running' then return 0 end
if ARGV[3] == '1' and (tonumber(get(ARGV[1], 'joined')) or 0) > 0 then return 0 end
finish(ARGV[1], 'cancelled', ARGV[4], ARGV[2], 1)
return 1
"""
)
"""End a job that has not ended; 0 if it has."""

RETRY: Final = (
    _COMMON
    + """
-- id, updated
local id = ARGV[1]
local state = get(id, 'state')
local later = redis.call('ZSCORE', 'bcd:later', id)
if not known(get(id, 'lane')) then return 0 end
if (get(id, 'superseded_by') or '') ~= '' or get(id, 'refused') == '1' then return 0 end
if not (state == 'failed' or state == 'cancelled' or state == 'done with failures' or later) then return 0 end
set(id, 'attempts', 0, 'lost', 0, 'tries', 0, 'begun', 0, 'ended', 0, 'exit_code', 0, 'joined', 0)
set(id, 'troubled', 0)
wait_again(id, ARGV[2], '')
return 1
"""
)
"""Once more what failed, was cancelled or waits for its storage; 0 if there is nothing to do again.

What was refused has to be submitted again, and what was superseded is done by the job in its place.
"""

SWEEP: Final = (
    _COMMON
    + _EVEN_IF_FULL
    + """
-- interval, lease, seconds until a message counts as lost, most lost, limit, days, updated
local interval, lease, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[5]
local late = tonumber(ARGV[3])
local before = tonumber(redis.call('GET', 'bcd:swept') or 0)
if now - before < 0.8 * interval and now > before then return cjson.encode({}) end
-- Redis's clock has leapt, or nobody has swept for long: what has passed is the usual time between sweeps.
if passed < 0 or passed > lease / 2 then now = (tonumber(clock[2]) or now) + interval end
redis.call('SET', 'bcd:swept', now)
redis.call('HSET', 'bcd:clock', 'wall', wall, 'now', now, 'most', lease / 2)
local send, requeued, aside, damaged = {}, {}, {}, {}
local function left(id)
  local why = gone(id, ARGV[7])
  if why == 'damaged' then table.insert(damaged, id) end
  return why
end
local function pass(id) table.insert(send, {id, get(id, 'lane'), tonumber(get(id, 'begun')) > 0}) end

-- If nobody has swept for long, Redis or all workers were away, and nobody could renew a lease either.
if passed > lease or now - before > lease then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'bcd:running', '-inf', now + lease)) do
    redis.call('ZADD', 'bcd:running', now + lease, id)
  end
end
-- No lease is longer than they may be, and nothing waits for a time that no delay leads to: as when the
-- queue's clock was lost while Redis's was years ahead.
for where, longest in pairs({['bcd:running'] = math.max(lease, MOST_LEASE), ['bcd:later'] = MOST_DELAY}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', where, '(' .. now + longest, '+inf', 'LIMIT', 0, limit)) do
    redis.call('ZADD', where, now + longest, id)
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'bcd:running', '-inf', now, 'LIMIT', 0, limit)) do
  if left(id) then
    -- nothing to do
  elseif lose(id, tonumber(ARGV[4]), ARGV[7]) == 'queued' then
    table.insert(requeued, id)
    pass(id)
  else
    table.insert(aside, id)
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'bcd:later', '-inf', now, 'LIMIT', 0, limit)) do
  if not left(id) then
    wait_again(id, ARGV[7], get(id, 'reason'))
    pass(id)
  end
end
-- Jobs that wait though their message is gone: their lane has none, or has come far past theirs (it is read
-- in order). A worker may also have it and be about to begin; one message too many does no harm.
for _, lane in ipairs({'interactive', 'batch'}) do
  local place_of = 'bcd:waiting:' .. lane
  local passed = tonumber(redis.call('GET', 'bcd:front:' .. lane) or 0) - 6 * late
  if redis.call('LLEN', 'bcd.' .. lane) == 0 then passed = now - late end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', place_of, '-inf', passed, 'LIMIT', 0, limit)) do
    if not left(id) then
      place(id, place_of, now)
      pass(id)
    end
  end
end
local old = now - ARGV[6] * 86400
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'bcd:ended', '-inf', old, 'LIMIT', 0, limit)) do
  forget(id)
end
for _, batch in ipairs(redis.call('ZRANGEBYSCORE', 'bcd:batches', '-inf', old)) do
  redis.call('ZREM', 'bcd:batches', batch)
  redis.call('ZREM', 'bcd:batches:begun', batch)
  redis.call('DEL', 'bcd:batch:' .. batch, 'bcd:unplaced:' .. batch)
end
return cjson.encode({send = send, requeued = requeued, aside = aside, damaged = damaged})
"""
)
"""Put right what went wrong without anybody noticing; the messages that are to be sent for it."""
