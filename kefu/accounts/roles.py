"""The roles as Django groups, and what each may do in the administration.

Who sees which conversation is `tickets.policy`; here are only the model permissions that
the admin's pages ask for. Admins have all, auditors may view all, the others have none.
"""

from django.apps import AppConfig
from django.contrib.auth.models import Group, Permission, User

from tickets.policy import Role


def give_permissions(app: AppConfig) -> None:
    """After an app's migration: its permissions to the roles. Safe to repeat; takes none away."""
    found = list(
        Permission.objects.filter(content_type__app_label=app.label).values_list("pk", "codename")
    )
    if app.label == "auth":
        for role in Role:
            Group.objects.get_or_create(name=role.value)
    if not found:
        return
    for role, pks in (
        (Role.ADMIN, [pk for pk, _codename in found]),
        (Role.AUDITOR, [pk for pk, codename in found if codename.startswith("view_")]),
    ):
        group, _ = Group.objects.get_or_create(name=role.value)
        group.permissions.add(*pks)


def set_role(user_pk: int, role: Role | None) -> None:
    """One role a person, None takes it away; `is_staff` follows: it opens the administration."""
    user = User.objects.get(pk=user_pk)
    names = [member.value for member in Role]
    user.groups.remove(*user.groups.filter(name__in=names))
    if role:
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
    user.is_staff = user.is_superuser or role in (Role.ADMIN, Role.AUDITOR)
    user.save(update_fields=["is_staff"])
