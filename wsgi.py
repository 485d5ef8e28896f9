"""What other web servers load: `wsgi:app`, with scheduler and dispatcher unless they are off."""

import atexit

from portal import create_app, logs, serving
from portal.jobs import Scheduler
from portal.settings import load

settings = load()
logs.set_up(settings.log_format)
app = create_app(settings)
_held = serving.lock_embedded(app)
serving.prepare(app)
serving.print_setup_link(app, settings.base_url)
if settings.scheduler:
    _scheduler = Scheduler(app)
    _scheduler.start()
    atexit.register(_scheduler.stop)
