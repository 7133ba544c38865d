-- A process wants to work on the job: "claimed", or why not.
-- arguments: id, holder, lease, updated
local state = get(id, 'state')
local priority = priority_of(id)
if not usable(id) then return 'unknown' end
if state == 'running' then
  if get(id, 'holder') == holder then return 'claimed' end  -- the answer was lost, and it asks again
  if now < tonumber(redis.call('ZSCORE', 'bcd:running', id) or 0) then return 'held' end
  if lose(id, updated) == 'failed' then return 'quarantined' end
elseif state ~= 'queued' then
  return state
elseif now < tonumber(redis.call('ZSCORE', 'bcd:later', id) or 0) then
  return 'later'
end
-- how far the messages of this queue have come: one that was sent long before and is not here was lost
local since = tonumber(redis.call('ZSCORE', 'bcd:waiting:' .. priority, id) or 0)
if tonumber(get(id, 'begun')) == 0 and since > tonumber(redis.call('GET', 'bcd:front:' .. priority) or 0) then
  redis.call('SET', 'bcd:front:' .. priority, since)
end
enter(id, 'running')
redis.call('HINCRBY', record(id), 'attempts', 1)
set(id, 'holder', holder, 'film', 0, 'begun', wall, 'due', 0, 'reason', '', 'updated', updated)
place(id, 'bcd:running', now + lease)
return 'claimed'
