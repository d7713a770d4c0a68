"""Set-up of this machine: the engine and the local services, from package registries alone."""
