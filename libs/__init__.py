"""Libraries shared by the services: the chassis, market knowledge and brokers."""
