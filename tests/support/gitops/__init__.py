"""What GitOps tools make of an object: Argo CD's scripts, Flux's health check expressions, and kstatus.

All of it is said by the packages of these tools, which are written in Go: one program answers all tests.
"""
