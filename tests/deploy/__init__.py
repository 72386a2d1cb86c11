"""The launcher, the embedded servers and what their logins may do."""
