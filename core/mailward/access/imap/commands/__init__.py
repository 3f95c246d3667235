"""What each command does, one module a group of them; `table` names them all."""
