"""What gunicorn serves."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kodomo_platform.portal.django_settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
