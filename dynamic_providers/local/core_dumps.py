"""No core dumps: the memory of a service, of a provider and of the engine holds secrets."""

import resource


def forbid() -> None:
    """For this process, and for what it starts from now on.

    The kernel does not ask when core_pattern is a pipe (core(5)): what the machine's collector
    of crashes keeps is the machine's matter.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
