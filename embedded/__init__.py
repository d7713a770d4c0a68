"""Engines that answer the documented APIs of the products, for machines without them."""
