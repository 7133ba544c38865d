-- A submission that cannot be worked on stands as a job that failed: 1; 0 if the job is under way or done.
-- arguments: id, why, exit_code, outs, created, batch, updated; fields
-- outs: a JSON list
local state = get(id, 'state')
if state and state ~= 'failed' and state ~= 'cancelled' then return 0 end
for i = FIELDS, #ARGV, 2 do set(id, ARGV[i], ARGV[i + 1]) end
set(id, 'outs', outs, 'homes', '[]', 'names', '', 'joined', 0, 'batch', batch, 'refused', 1)
redis.call('ZADD', 'bcd:jobs', 'NX', created, id)
redis.call('ZADD', study_key(id), created, id)
enlist(id, batch, created)
finish(id, 'failed', updated, why, exit_code)
return 1
