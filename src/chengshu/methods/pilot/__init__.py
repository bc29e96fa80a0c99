"""Pilot rules: what a permit says, and what a vehicle's telemetry proves about it, three-valued and with reasons."""
