"""What vendors' wires look like: recorded shapes, and the simulator in place of the vendor."""
