"""What is on record, read as JSON: one selector per kind of document, in a constant number of queries each.

Members are texts, numbers, lists and objects that have a canonical form (RFC 8785), times RFC 3339 in UTC, empty where
there is none. Nothing here is worded for a reader: that is done by the outlines.
"""
