"""What the exporter is compared with: receivers written by hand, and how to install the others."""
