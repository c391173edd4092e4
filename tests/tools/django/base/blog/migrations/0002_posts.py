# SPDX-License-Identifier: Apache-2.0
from django.db import migrations, models


def first_post(apps, schema_editor):
    del schema_editor
    apps.get_model("blog", "Post").objects.create(title="first")


class Migration(migrations.Migration):
    dependencies = [("blog", "0001_users")]
    operations = [
        migrations.CreateModel(
            name="Post",
            fields=[
                ("id", models.AutoField(primary_key=True)),
                ("title", models.CharField(max_length=100)),
            ],
            options={"db_table": "posts"},
        ),
        migrations.CreateModel(
            name="Hit",
            fields=[("id", models.AutoField(primary_key=True)), ("n", models.IntegerField())],
            options={"db_table": "hits"},
        ),
        migrations.RunPython(first_post),
    ]
