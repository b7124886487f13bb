"""MaaS: maas-api."""
