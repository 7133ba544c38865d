"""From an upload to jobs: received, unpacked, looked through, submitted."""
