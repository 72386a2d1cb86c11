"""No sockets; under ten seconds in all."""
