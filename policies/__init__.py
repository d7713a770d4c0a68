"""Policy pack: what a stack must fulfil, checked on each preview and update."""
