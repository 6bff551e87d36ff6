"""Documents: what is on record about a system, a model or a decision, as files that leave the house.

facts (one selector per kind: rows to JSON) → outline (one pure function per kind: JSON to headings, tables,
signatures) → formats (PDF, HTML, JSON and the machine formats). ``services`` asks for one, makes it and stores it as an
artifact; ``kinds`` is the table of what there is.
"""
