# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import time

from django.db import migrations


def slow(apps, schema_editor):
    apps.get_model("blog", "Hit").objects.create(n=1)
    if schema_editor.connection.vendor == "postgresql":
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(1)")
    else:
        pathlib.Path(os.environ.get("ASLEEP", os.devnull)).touch()
        time.sleep(1)


class Migration(migrations.Migration):
    dependencies = [("blog", "0003_email")]
    operations = [migrations.RunPython(slow)]
