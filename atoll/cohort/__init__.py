"""Who: a Circe definition becomes person, start and end."""
