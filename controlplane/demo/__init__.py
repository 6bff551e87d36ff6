"""The demo: people, three AI systems, their example pipelines run to the end, and models waiting for approval."""
