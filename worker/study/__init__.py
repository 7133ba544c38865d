"""One study in this process: scanned, published, evaluated. No queue."""
