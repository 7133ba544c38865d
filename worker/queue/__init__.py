"""Jobs in Redis: records, how they change, submission, summaries. No Celery."""
