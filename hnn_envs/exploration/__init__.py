"""Agents that need almost no experience: act, record, learn, plan, and again, until a goal is held."""
