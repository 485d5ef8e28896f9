"""The table of rules: what the portal raises alerts about. A new rule is a line here."""

from typing import Final

from portal.alerts import integration_rules, own_rules, webhook_rules
from portal.alerts.findings import Rule

RULES: Final[tuple[Rule, ...]] = (*integration_rules.RULES, *webhook_rules.RULES, *own_rules.RULES)
LABELS: Final = {rule.name: rule.label for rule in RULES}
