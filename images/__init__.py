"""The container images of the three programs: built without a network, named by what is in them."""
