-- The holder gives the job back, to be tried again after a delay: 1; 0 if that has gone on for too long; -1 if
-- the job is not its own any more.
-- arguments: id, holder, delay, why, updated, patience
-- also when Redis is full
if get(id, 'holder') ~= holder or not usable(id) then return -1 end
local since = tonumber(get(id, 'troubled')) or 0
if since == 0 then
  since = now
  set(id, 'troubled', now)
end
if now + delay - since > tonumber(patience) then return 0 end
wait_again(id, updated, why)
redis.call('HINCRBY', record(id), 'tries', 1)
set(id, 'due', wall + delay)
place(id, 'bcd:later', now + delay)
return 1
