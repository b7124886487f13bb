"""Builds the node image and the components' images from packages, without a container registry.

Go modules, a wheel, Debian packages, and this project's own stand-ins; `python -m kind.images`.
"""
