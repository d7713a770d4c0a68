from plugins.postgresql.plugin import PLUGIN
from plugins.provider import serve

serve(PLUGIN)
