"""The exporter's peers in comparisons: receivers written by hand, and how to install the others."""
