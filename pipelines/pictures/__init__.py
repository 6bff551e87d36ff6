"""Pictures as SVG text: pure functions from data, classes only, every text escaped, the same input the same bytes."""
