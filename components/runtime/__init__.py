"""How services are run: a description of each (service.py) and one renderer per environment."""

from components.runtime.process import ProcessRuntime
from components.runtime.service import Runtime
from settings import Settings
from tools.paths import Paths
from tools.preflight import service_user


def runtime_for(settings: Settings) -> Runtime:
    """The runtime that `dataflow:runtime` names. Raises SettingsError if it is not built yet."""
    settings.require_built()
    return ProcessRuntime(
        "runtime",
        stack_dir=Paths.find().stack_dir(settings.stack),
        user=service_user(),
        port_offset=settings.port_offset,
        keep_data=settings.keep_data,
    )
