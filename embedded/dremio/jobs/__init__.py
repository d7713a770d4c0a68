"""Jobs: their life, results and audit log."""
