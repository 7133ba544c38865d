-- A submission that cannot be worked on stands as a job of its own that failed.
-- arguments: id, why, exit_code, outs, created, batch, updated; fields
-- outs: a JSON list
for i = FIELDS, #ARGV, 2 do set(id, ARGV[i], ARGV[i + 1]) end
set(id, 'outs', outs, 'homes', outs, 'names', '', 'joined', 0, 'batch', batch, 'refused', 1)
redis.call('ZADD', 'bcd:jobs', 'NX', created, id)
redis.call('ZADD', study_key(id), created, id)
enlist(id, batch, created)
finish(id, 'failed', updated, why, exit_code)
