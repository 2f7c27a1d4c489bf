"""The answers of the server, with their headers: a list of routes behind a gate that asks for the token."""
