"""The data flow as typed data: what moves where, how often, and who may read it."""
