-- A submission: {answer, whether a message is to be sent}.
-- arguments: id, only_first, published, force, outs, created, priority, batch, updated, study, names, homes; fields
-- only_first: 1 if nothing is to be done where the study has jobs, or the job a record: {'known', 0}
-- published, force: 0 or 1; outs: a JSON list, the folder asked for last
-- names: a digest of what the files are called; homes: the folders of those who know it, a JSON list
-- what the result that stands is known by, until there is another
local KEPT = {created = true, tally = true}
if only_first == '1' and redis.call('EXISTS', record(id), 'bcd:study:' .. study) > 0 then
  return {'known', 0}
end
local asked = cjson.decode(outs)
local out = asked[#asked]
local state = get(id, 'state')
local under_way = state == 'queued' or state == 'running'
local done = (state == 'done' or state == 'done with failures') and published == '1' and force == '0'
enlist(id, batch, created)
if not (under_way or done) then
  for i = FIELDS, #ARGV, 2 do
    if not (state and KEPT[ARGV[i]] and get(id, ARGV[i])) then set(id, ARGV[i], ARGV[i + 1]) end
  end
  set(id, 'outs', outs, 'homes', homes, 'names', names, 'joined', #asked - 1, 'troubled', 0, 'batch', batch)
  redis.call('ZADD', 'bcd:jobs', 'NX', created, id)
  redis.call('ZADD', study_key(id), created, id)
  wait_again(id, updated, '')
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
if get(id, 'names') == names then
  local homes_now = cjson.decode(get(id, 'homes') or '[]')
  table.insert(homes_now, out)
  set(id, 'homes', cjson.encode(homes_now))
end
if force == '1' then set(id, 'replace', 1) end
-- the user waits for what was only in a batch, or was to be tried later: now, then
if state == 'queued' and priority == 'interactive' then
  if priority_of(id) ~= priority or redis.call('ZSCORE', 'bcd:later', id) then
    set(id, 'priority', priority)
    wait_again(id, updated, '')
    return {'under way', 1}
  end
end
return {'under way', 0}
