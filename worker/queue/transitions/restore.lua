-- The record of a job whose result stands, though Redis has forgotten it.
-- arguments: id, state, created, out, updated; fields
if redis.call('EXISTS', record(id)) == 1 then return 0 end
for i = FIELDS, #ARGV, 2 do set(id, ARGV[i], ARGV[i + 1]) end
set(id, 'outs', cjson.encode({out}), 'homes', cjson.encode({out}), 'names', '', 'joined', 0, 'batch', '')
redis.call('ZADD', 'bcd:jobs', 'NX', created, id)
redis.call('ZADD', study_key(id), created, id)
finish(id, state, updated, '', get(id, 'exit_code'))
return 1
