"""The hard part: boxes, scopes, graphs, configs. See README.md here."""

__all__: list[str] = []
