"""The gateway's folders: what it was sent, what came of it, and for how long."""
