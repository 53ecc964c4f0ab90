"""Buckets of S3, Google Cloud Storage and Azure Blob Storage, by obstore."""
