"""Values of the field: frozen dataclasses and enums, standard library only (layer 0)."""
