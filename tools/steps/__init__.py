"""What the bootstrap installs, as steps of `tools.bootstrap`."""
