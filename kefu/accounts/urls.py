"""The routes of people who log in."""

from django.urls import path
from django.views.i18n import set_language

from kefu.accounts import account, views

urlpatterns = [
    path("login/", views.LogIn.as_view(), name="login"),
    path("login/verify/", views.Verify.as_view(), name="login_verify"),
    path("logout/", views.LogOut.as_view(), name="logout"),
    path("language/", set_language, name="set_language"),
    path("account/", account.account, name="account"),
    path("account/password/", views.ChangePassword.as_view(), name="password_change"),
    path("account/two-factor/", account.two_factor, name="two_factor"),
    path("account/two-factor/qr.svg", account.qr_code, name="two_factor_qr"),
    path("account/two-factor/enable/", account.two_factor_enable, name="two_factor_enable"),
    path("account/two-factor/disable/", account.two_factor_disable, name="two_factor_disable"),
    path("account/two-factor/codes/", account.recovery_codes, name="recovery_codes"),
]
