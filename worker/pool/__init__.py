"""The processes that work on jobs; the only part that imports Celery."""
