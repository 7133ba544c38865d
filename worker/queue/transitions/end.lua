-- The holder is done: 1; 0 if a results folder was added meanwhile; -1 if the job is not its own any more.
-- arguments: id, holder, published_to, state, why, exit_code, updated; fields
-- published_to: number of results folders; -1 if that does not matter
-- also when Redis is full
if get(id, 'holder') ~= holder then return -1 end
local folders = tonumber(published_to)
if folders >= 0 and #cjson.decode(get(id, 'outs')) > folders then return 0 end
for i = FIELDS, #ARGV, 2 do set(id, ARGV[i], ARGV[i + 1]) end
finish(id, state, updated, why, exit_code)
return 1
