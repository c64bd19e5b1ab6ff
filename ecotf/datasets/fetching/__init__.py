"""Data sets that others have published: downloaded, checked and unpacked."""
