# SPDX-License-Identifier: Apache-2.0
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("blog", "0003_email")]
    operations = [migrations.RunSQL("INSERT INTO no_such_table (id) VALUES (1)")]
