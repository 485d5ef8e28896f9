"""The sandbox's receiver of webhooks: a strict customer's endpoints, with faults on demand."""
