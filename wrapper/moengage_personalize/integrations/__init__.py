"""What fits the client into what a service has already: imported by name only, a module for each."""
