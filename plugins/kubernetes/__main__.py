from plugins.kubernetes.plugin import PLUGIN
from plugins.kubernetes.provider import KubernetesProvider
from plugins.provider import serve

serve(PLUGIN, KubernetesProvider)
