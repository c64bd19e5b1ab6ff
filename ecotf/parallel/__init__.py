"""Worker processes and Spark: any kind of work, spread over cores and machines."""
