"""What happened to each trade, once it is over."""
