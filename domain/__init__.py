"""What chatkeep is, free of any framework: entities, ports, use cases. Standard library only."""
