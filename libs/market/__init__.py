"""Pure market knowledge: contracts, sessions, money, calendar. Nothing here does I/O or reads a clock."""
