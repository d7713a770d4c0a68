from plugins.minio.plugin import PLUGIN
from plugins.provider import serve

serve(PLUGIN)
