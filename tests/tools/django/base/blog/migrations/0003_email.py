# SPDX-License-Identifier: Apache-2.0
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("blog", "0002_posts")]
    operations = [
        migrations.AddField("User", "email", models.CharField(max_length=200, null=True)),
    ]
