"""What the drivers of HTTP interfaces share: the visit, its error table, waiting times and checks of answers."""

from portal.providers.rest.errors import table_with
from portal.providers.rest.reading import Complaint, items
from portal.providers.rest.visit import Api, Visit, refused_outright

__all__ = ["Api", "Complaint", "Visit", "items", "refused_outright", "table_with"]
