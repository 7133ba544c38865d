-- What the scripts have in common; before it stands STATES, the states of a job.
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
local MAX_LOST = 3  -- so often may a job end the process that works on it, before it is quarantined
local MOST_LEASE, MOST_DELAY = 600, 86400  -- seconds; no setting gives more
local function record(id) return 'bcd:job:' .. id end
local function get(id, field)
  local found = redis.pcall('HGET', record(id), field)
  return type(found) ~= 'table' and found  -- an error: another program's key is no record, and stops no sweep
end
local function set(id, ...) redis.call('HSET', record(id), ...) end
-- the state is not counted any more: the one it is in, or else the one that its place stands for
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
local function priority_of(id) return get(id, 'priority') or get(id, 'lane') end  -- 'lane': version 0.1
local function known(priority) return priority == 'interactive' or priority == 'batch' end
local function study_key(id) return 'bcd:study:' .. (get(id, 'study_instance_uid') or '') end
local function forget(id)
  uncount(id)
  redis.call('ZREM', study_key(id), id)
  redis.call('DEL', record(id))
  for _, where in ipairs(PLACES) do redis.call('ZREM', where, id) end
  redis.call('ZREM', 'bcd:jobs', id)
end
-- whether there is a record that the scripts can work with
local function usable(id)
  for _, field in ipairs({'lost', 'attempts', 'tries'}) do
    if not string.match(get(id, field) or '', '^%d+$') then return false end  -- HINCRBY takes nothing else
  end
  return tonumber(get(id, 'begun')) and get(id, 'reason') and known(priority_of(id)) and STATES[get(id, 'state')]
end
local function reason(code, detail, remedy)  -- as bcd_model.reasons writes one
  return cjson.encode({code = code, detail = detail, remedy = remedy})
end
local function wait_again(id, updated, why)
  enter(id, 'queued')
  set(id, 'film', 0, 'holder', '', 'due', 0, 'reason', why, 'updated', updated)
  place(id, 'bcd:waiting:' .. priority_of(id), now)
end
local function finish(id, state, updated, why, code)
  enter(id, state)
  set(id, 'holder', '', 'due', 0, 'ended', wall, 'reason', why, 'exit_code', code, 'updated', updated)
  place(id, 'bcd:ended', now)
end
-- the holder is gone without an outcome: once more, unless that has happened too often
local function lose(id, updated)
  local lost = redis.call('HINCRBY', record(id), 'lost', 1)
  if lost < MAX_LOST then
    wait_again(id, updated, '')
    return 'queued'
  end
  local why = 'it ended its worker, or took too long, ' .. lost .. ' times'
  finish(id, 'failed', updated, reason('quarantined', why, "quarantined: see the worker's log"), 1)
  return 'failed'
end
