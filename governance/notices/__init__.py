"""Who is told of what: an inbox for people, signed webhooks for programs, a digest by e-mail."""
