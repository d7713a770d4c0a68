"""The real products' own services, for runtimes that run containers.

A component describes one service; where a product is more than that, the service carries what it
stands for, and these descriptions take its place.
"""
