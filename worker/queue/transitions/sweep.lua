-- Put right what went wrong unnoticed; the messages that are to be sent for it.
-- arguments: interval, lease, message_lost, limit, days, updated
-- interval, lease, message_lost: seconds; limit: jobs of each kind
-- also when Redis is full
interval, lease = tonumber(interval), tonumber(lease)
local late = tonumber(message_lost)
local before = tonumber(redis.call('GET', 'bcd:swept') or 0)
if now - before < 0.8 * interval and now > before then return cjson.encode({}) end
-- Redis's clock has leapt, or no worker has swept for long: what has passed is the usual time between sweeps.
if passed < 0 or passed > lease / 2 then now = (tonumber(clock[2]) or now) + interval end
redis.call('SET', 'bcd:swept', now)
redis.call('HSET', 'bcd:clock', 'wall', wall, 'now', now, 'most', lease / 2)
local send, requeued, quarantined, damaged = {}, {}, {}, {}
-- forget what the scripts cannot work with; its study submitted again makes it anew
local function left(id)
  if usable(id) then return false end
  if redis.call('EXISTS', record(id)) == 1 then table.insert(damaged, id) end
  forget(id)
  return true
end
local function pass(id) table.insert(send, {id, priority_of(id), tonumber(get(id, 'begun')) > 0}) end

-- If no worker has swept for long, Redis or all workers were away, and no lease could be renewed either.
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
  elseif lose(id, updated) == 'queued' then
    table.insert(requeued, id)
    pass(id)
  else
    table.insert(quarantined, id)
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'bcd:later', '-inf', now, 'LIMIT', 0, limit)) do
  if not left(id) then
    wait_again(id, updated, get(id, 'reason'))
    pass(id)
  end
end
-- Jobs that wait though their message is gone: their queue has none, or has come far past theirs (it is read
-- in order). A worker may also have it and be about to begin; one message too many does no harm.
for _, priority in ipairs({'interactive', 'batch'}) do
  local place_of = 'bcd:waiting:' .. priority
  local passed = tonumber(redis.call('GET', 'bcd:front:' .. priority) or 0) - 6 * late
  if redis.call('LLEN', 'bcd.' .. priority) == 0 then passed = now - late end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', place_of, '-inf', passed, 'LIMIT', 0, limit)) do
    if not left(id) then
      place(id, place_of, now)
      pass(id)
    end
  end
end
local old = now - days * 86400
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'bcd:ended', '-inf', old, 'LIMIT', 0, limit)) do
  forget(id)
end
for _, batch in ipairs(redis.call('ZRANGEBYSCORE', 'bcd:batches', '-inf', old)) do
  redis.call('ZREM', 'bcd:batches', batch)
  redis.call('ZREM', 'bcd:batches:begun', batch)
  redis.call('DEL', 'bcd:batch:' .. batch, 'bcd:unplaced:' .. batch)
end
return cjson.encode({send = send, requeued = requeued, quarantined = quarantined, damaged = damaged})
