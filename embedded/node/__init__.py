"""The cluster's only node: what kubelet, kube-proxy and cluster DNS do, with processes.

A container's file system is the machine's own. What it mounts lies below its root folder
(`$CONTAINER_ROOT`), and the node rewrites the mounted paths in its command, arguments and
environment, so that `/etc/app/x` in a manifest is the file that was mounted there.
"""
