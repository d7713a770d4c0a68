"""Jobs: queue, attempts, and the pipe between source and destination."""
