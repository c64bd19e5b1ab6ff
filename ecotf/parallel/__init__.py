"""Worker processes and Spark: how work is spread over cores and machines, whatever the work is."""
