"""Families of exercises: problems drawn at random with exact answers and worked solutions in two languages."""
