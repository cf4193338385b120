"""Log-in: the lock, the way back, the session, the second factor."""

import re
import time
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken

from kefu.accounts import second_factor
from tests import factories

PASSWORD = "a-long-passphrase"
pytestmark = pytest.mark.django_db


def log_in(client: Client, name: str = "wangfang", password: str = PASSWORD, **more: str):
    return client.post("/login/", {"username": name, "password": password, **more})


def code_now(device: second_factor.SecondFactor, *, steps: int = 0) -> str:
    totp = TOTP(device.bin_key)
    totp.time = time.time() + 30 * steps
    return f"{totp.token():06d}"


def enrolled(user: User) -> second_factor.SecondFactor:
    device = second_factor.pending(user)
    device.confirmed = True
    device.save()
    return device


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_the_right_password_leads_in_by_a_new_session(agent, client):
    client.get("/login/")
    client.session.save()
    before = client.session.session_key

    response = log_in(client)

    assert response.status_code == 302
    assert response["Location"] == "/console/"
    assert client.session.session_key != before
    again = client.session.session_key
    log_in(client)
    assert client.session.session_key != again


def test_a_session_id_that_somebody_planted_is_not_the_one_that_is_logged_in(agent, client):
    client.session.save()
    client.cookies["sessionid"] = "planted0planted0planted0planted0"

    log_in(client)

    assert client.cookies["sessionid"].value != "planted0planted0planted0planted0"


def test_the_session_cookie_is_kept_from_scripts_and_from_other_sites(agent, client):
    cookie = log_in(client).cookies["sessionid"]

    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


@pytest.mark.parametrize(
    "where",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
        "https:evil.example",
        " //evil.example",
    ],
)
def test_nobody_is_led_to_another_site(agent, client, where):
    assert log_in(client, next=where)["Location"] == "/console/"


@pytest.mark.parametrize("where", ["nowhere", "a%00b"])
def test_who_is_in_goes_on_to_whatever_they_named(agent, client, where):
    log_in(client)

    assert client.get(f"/login/?next={where}").status_code == 302


def test_a_page_of_ours_is_where_one_goes_on(agent, client):
    assert log_in(client, next="/console/c/7?x=1")["Location"] == "/console/c/7?x=1"


@pytest.mark.parametrize("page", ["/login/", "/admin/login/"])
@pytest.mark.parametrize("name", ["wangfang", "nobody-of-this-name"])
def test_after_five_wrong_passwords_name_and_address_wait(agent, page, name):
    client = Client()
    answers = [
        client.post(page, {"username": name, "password": "wrong"}).status_code for _ in range(5)
    ]
    right = client.post(page, {"username": name, "password": PASSWORD})

    assert answers == [200, 200, 200, 200, 429]
    assert right.status_code == 429
    assert 850 < int(right["Retry-After"]) <= 901
    assert not is_in(client)


@pytest.mark.parametrize("page", ["/login/", "/admin/login/"])
@pytest.mark.parametrize("length", [151, 300, 5000])
def test_a_name_that_is_too_long_is_an_ordinary_failure(page, length):
    answer = Client().post(page, {"username": "x" * length, "password": "wrong"})

    assert answer.status_code == 200
    assert "用户名或密码不正确" in answer.content.decode()


def test_the_lock_is_the_same_page_whether_the_name_exists_or_not(agent):
    def locked_page(name: str) -> str:
        client = Client()
        for _ in range(5):
            response = client.post("/login/", {"username": name, "password": "wrong"})
        text = response.content.decode().replace(name, "NAME")
        return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)

    assert locked_page("wangfang") == locked_page("no-such-one")


def test_another_address_and_another_name_are_not_locked(agent):
    factories.user("liming")
    client = Client()
    for _ in range(5):
        log_in(client, password="wrong")

    assert log_in(Client(), name="liming").status_code == 302
    elsewhere = Client(REMOTE_ADDR="203.0.113.9")
    assert log_in(elsewhere).status_code == 302


def test_a_forged_forwarding_header_does_not_make_another_address(agent):
    for n in range(5):
        log_in(Client(headers={"x-forwarded-for": f"198.51.100.{n}"}), password="wrong")

    assert log_in(Client(headers={"x-forwarded-for": "198.51.100.99"})).status_code == 429


def test_the_lock_ends_after_a_quarter_of_an_hour_however_often_one_knocks(agent):
    client = Client()
    for _ in range(5):
        log_in(client, password="wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
    log_in(client, password="wrong")
    log_in(client)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=15, seconds=1))

    assert log_in(client).status_code == 302


def test_who_has_a_second_factor_is_not_in_after_the_password(agent, client):
    enrolled(agent)

    response = log_in(client, next="/console/c/1")

    assert response["Location"] == "/login/verify/"
    assert not is_in(client)
    assert client.get("/account/").status_code == 302


def test_a_code_of_the_app_leads_in_once(agent, client):
    device = enrolled(agent)
    log_in(client, next="/console/c/1")
    code = code_now(device)

    assert client.post("/login/verify/", {"token": code})["Location"] == "/console/c/1"
    assert is_in(client)
    other = Client()
    log_in(other)
    assert other.post("/login/verify/", {"token": code}).status_code == 200
    assert not is_in(other)


def test_wrong_codes_wait_longer_each_time(agent, client):
    enrolled(agent)
    log_in(client)

    answers = [client.post("/login/verify/", {"token": "000000"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1]["Retry-After"]) >= 1
    assert not is_in(client)


def test_setting_up_shows_recovery_codes_once_and_each_is_good_for_one_log_in(agent, client):
    log_in(client)
    page = client.get("/account/two-factor/")
    device = second_factor.pending(agent)
    assert device.secret in page.content.decode()
    assert client.get("/account/two-factor/qr.svg")["Content-Type"] == "image/svg+xml"

    shown = client.post("/account/two-factor/enable/", {"token": code_now(device)})

    codes = shown.context["codes"]
    assert len(set(codes)) == 10
    assert codes[0] not in client.get("/account/two-factor/").content.decode()
    assert client.get("/account/two-factor/qr.svg").status_code == 404
    results = []
    for _ in range(2):
        other = Client()
        log_in(other)
        other.post("/login/verify/", {"token": codes[0].lower()})
        results.append(is_in(other))
    assert results == [True, False]


def test_neither_secret_nor_recovery_codes_lie_open_in_the_database(agent):
    device = enrolled(agent)
    codes = second_factor.new_recovery_codes(agent)

    stored = second_factor.SecondFactor.objects.values_list("key", flat=True).get(pk=device.pk)
    assert device.bin_key.hex() not in stored
    assert device.secret not in stored
    tokens = set(StaticToken.objects.values_list("token", flat=True))
    assert not tokens & {code.replace("-", "") for code in codes} | tokens & set(codes)


def test_turning_it_off_takes_the_password(agent, client):
    device = enrolled(agent)
    log_in(client)
    client.post("/login/verify/", {"token": code_now(device)})

    refused = client.post("/account/two-factor/disable/", {"password": "wrong"})
    assert (refused.status_code, second_factor.confirmed(agent) is None) == (400, False)
    client.post("/account/two-factor/disable/", {"password": PASSWORD})
    assert second_factor.confirmed(agent) is None


def test_where_it_is_required_one_sets_it_up_before_one_is_in(agent, client, settings):
    settings.REQUIRE_TWO_FACTOR = True

    assert log_in(client, next="/console/c/9")["Location"] == "/account/two-factor/"
    assert not is_in(client)
    device = second_factor.pending(agent)
    shown = client.post("/account/two-factor/enable/", {"token": code_now(device)})

    assert shown.context["onward"] == "/console/c/9"
    assert is_in(client)


def test_a_half_done_log_in_cannot_replace_the_second_factor(agent, client):
    enrolled(agent)
    log_in(client)

    assert client.get("/account/two-factor/")["Location"] == "/login/"
    assert client.get("/account/two-factor/qr.svg").status_code == 404
    assert client.post("/account/two-factor/enable/", {"token": "123456"})["Location"] == "/login/"


def test_a_session_without_the_second_factor_ends_once_it_is_required(agent, client, settings):
    log_in(client)
    settings.REQUIRE_TWO_FACTOR = True

    assert client.get("/account/")["Location"].startswith("/login/")
    assert not is_in(client)


def test_logging_out_is_a_post(agent, client):
    log_in(client)

    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").status_code == 302
    assert not is_in(client)


def test_a_new_password_ends_the_other_sessions(agent, client):
    other = Client()
    log_in(other)
    log_in(client)
    new = "another-long-passphrase"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}

    assert client.post("/account/password/", form).status_code == 302
    assert client.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302


def test_passwords_are_kept_by_argon2(agent):
    assert agent.password.startswith("argon2$argon2id$")


def test_a_form_without_its_token_is_refused_with_a_page(agent):
    client = Client(enforce_csrf_checks=True)

    response = log_in(client)

    assert response.status_code == 403
    assert "页面已过期" in response.content.decode()
