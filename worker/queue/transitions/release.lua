-- The holder is known to be gone (lost), or hands the job back without having tried; its new state.
-- arguments: id, holder_start, lost, updated
-- holder_start: what the holder's name begins with; lost: 0 or 1
-- also when Redis is full
if not usable(id) or get(id, 'state') ~= 'running' then return '' end
if string.sub(get(id, 'holder') or '', 1, #holder_start) ~= holder_start then return '' end
if lost == '1' then return lose(id, updated) end
redis.call('HINCRBY', record(id), 'attempts', -1)
wait_again(id, updated, '')
return 'queued'
