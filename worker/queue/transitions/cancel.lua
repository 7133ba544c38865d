-- End a job that has not ended; 0 if it has.
-- arguments: id, why, unless_shared, updated
-- unless_shared: 0 or 1; 1 if it is left alone where others have asked for it, too
-- also when Redis is full
local state = get(id, 'state')
if state ~= 'queued' and state ~= 'running' then return 0 end
if unless_shared == '1' and (tonumber(get(id, 'joined')) or 0) > 0 then return 0 end
finish(id, 'cancelled', updated, why, 1)
return 1
