"""Training: compile's objective, the pure steps, the one epoch loop, and the Trainer mixin of Model."""

__all__: list[str] = []
