# SPDX-License-Identifier: Apache-2.0

import os
import urllib.parse

_url = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
_engine = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "sqlite": "sqlite3",
}
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends." + _engine[_url.scheme],
        "NAME": urllib.parse.unquote(_url.path[1:]),
        "USER": urllib.parse.unquote(_url.username or ""),
        "PASSWORD": urllib.parse.unquote(_url.password or ""),
        "HOST": _url.hostname or "",
        "PORT": _url.port or "",
    }
}
SECRET_KEY = "only-for-tests"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "blog",
]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
