"""Simulated windows of requests: how often drift is seen where there is none, and how soon where there is."""
