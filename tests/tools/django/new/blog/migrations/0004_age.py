# SPDX-License-Identifier: Apache-2.0
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("blog", "0003_email")]
    operations = [
        migrations.AddField("User", "age", models.IntegerField(null=True)),
    ]
