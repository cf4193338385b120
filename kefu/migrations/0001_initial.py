from django.db import migrations


class Migration(migrations.Migration):
    """A proxy: no table of its own, so that its permissions and content type exist."""

    initial = True
    dependencies = [("otp_totp", "0003_add_timestamps")]
    operations = [
        migrations.CreateModel(
            name="SecondFactor",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("otp_totp.totpdevice",),
        ),
    ]
