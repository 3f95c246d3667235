"""May this login in? One chain for every protocol."""
