-- Once more what failed, was cancelled or waits for its storage; 0 if there is nothing to do again.
-- What was refused has to be submitted again, and what was superseded is done by the job in its place.
-- arguments: id, updated
local state = get(id, 'state')
local later = redis.call('ZSCORE', 'bcd:later', id)
if not known(priority_of(id)) then return 0 end
if (get(id, 'superseded_by') or '') ~= '' or get(id, 'refused') == '1' then return 0 end
if not (state == 'failed' or state == 'cancelled' or state == 'done with failures' or later) then return 0 end
set(id, 'attempts', 0, 'lost', 0, 'tries', 0, 'begun', 0, 'ended', 0, 'exit_code', 0, 'joined', 0)
set(id, 'troubled', 0)
wait_again(id, updated, '')
return 1
