-- A heartbeat of the holder; 0 if the job is not its own any more.
-- arguments: id, holder, lease, updated, film
-- film: '' if it is the same
-- also when Redis is full
if get(id, 'holder') ~= holder then return 0 end
if film ~= '' then set(id, 'film', film, 'updated', updated) end
place(id, 'bcd:running', now + lease)
return 1
