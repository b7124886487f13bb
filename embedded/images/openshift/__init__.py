"""OpenShift: the gateway controller, and the OpenShift AI operator."""
