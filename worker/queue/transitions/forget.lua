-- Leave nothing of a job but its name in its batches.
-- arguments: id
-- also when Redis is full
forget(id)
