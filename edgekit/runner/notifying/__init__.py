"""Telling people: failure, recovery, missed runs, what expires; grouped, and without storms."""
