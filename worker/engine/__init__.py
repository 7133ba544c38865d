"""The embedded engine: a private Redis and a worker."""
