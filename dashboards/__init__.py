"""The Grafana dashboards and the program that writes them."""
