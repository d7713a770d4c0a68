from plugins.elasticstack.plugin import PLUGIN
from plugins.provider import serve

serve(PLUGIN)
