from plugins.docker.plugin import PLUGIN
from plugins.provider import serve

serve(PLUGIN)
