"""Samplers: torch batch samplers over integer labels."""

__all__: list[str] = []
