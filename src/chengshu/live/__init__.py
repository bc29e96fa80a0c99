"""The live room: permits from application to termination, admission tokens, temporary directives."""
