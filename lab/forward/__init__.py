"""What forwarding gets through, withstands and costs."""
