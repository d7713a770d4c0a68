"""The sample source system: database `shop` with customers, orders and products.

Keys, relations, volumes, dates and prices come from the TPC-H generator; names, places and the
faults of a real system (duplicates, blanks, nulls, wrong amounts) are added on top.
"""
