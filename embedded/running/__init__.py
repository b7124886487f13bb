"""A cluster's life: its process, what it is told, what it keeps, and when it is ready."""
