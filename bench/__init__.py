"""Measurements that compare the platform with a baseline taken in the same run."""
