-- A job takes the place of another in its batches, and ends it if it is under way.
-- arguments: old, new, why, updated, batch
-- old: the job that goes; batch: if it is done it is replaced in this batch alone
-- also when Redis is full
if redis.call('EXISTS', record(old), record(new)) < 2 then return 0 end
local state = get(old, 'state')
-- what is done stays in the batches of other days
local done = state == 'done' or state == 'done with failures'
for _, batch in ipairs(done and {batch} or redis.call('ZRANGE', 'bcd:batches', 0, -1)) do
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
if state == 'queued' or state == 'running' then finish(old, 'cancelled', updated, why, 1) end
return 1
