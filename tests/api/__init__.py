"""The gateway's OpenAPI document against the running gateway."""
