"""The tokens of pulumi_docker: containers, networks, volumes and images."""
