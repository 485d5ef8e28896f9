"""What the browser tests share: the portal as a process, data made beside it, and a browser that watches itself."""
