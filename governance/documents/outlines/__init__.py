"""From facts to what a document says, kind by kind: pure functions of JSON, the same for PDF and HTML."""
