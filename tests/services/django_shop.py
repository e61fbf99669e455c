"""A small shop page with Django; run as a process, django_shop:wsgi or django_shop:asgi."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import path

from moengage_personalize import AsyncPersonalizeClient, InvalidRequestError, Page, PersonalizeClient
from moengage_personalize.integrations.clicks import ClickSigner

INTEGRATION = "moengage_personalize.integrations.django"
HOME = """\
<!doctype html><html lang="en"><title>Shop</title>
<h1>{% personalize "homepage-banner" "Title" "Welcome" %}</h1>
<p>{% personalize "promo-strip" "Text" %}</p>
{% personalize "homepage-banner" "CtaLabel" "Offers" as label %}<a href="{{ link }}">{{ label }}</a></html>
"""

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[f"{INTEGRATION}.middleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ["CLICK_KEY"],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "builtins": [INTEGRATION],
                "loaders": [("django.template.loaders.locmem.Loader", {"home.html": HOME})],
            },
        }
    ],
    PERSONALIZE={
        "CUSTOMER_ID": lambda request: request.COOKIES.get("customer"),  # a shop would read its session
        "MAKE_CLIENT": partial(PersonalizeClient.from_env, timeout=5),
        "MAKE_ASYNC_CLIENT": partial(AsyncPersonalizeClient.from_env, timeout=5),
    },
)

from moengage_personalize.integrations.django import apage, get_reporter, page, with_lifespan  # noqa: E402 -- after the settings

KEYS = ("homepage-banner", "promo-strip")
signer = ClickSigner([os.environ["CLICK_KEY"]])


def banner_link(request: Any, found: Any) -> str:
    context, customer = found.contexts().get("homepage-banner"), request.COOKIES.get("customer")
    if context is None or customer is None:
        return "/offers"
    return f"/click?token={signer.sign(context, customer_id=customer, element='Banner')}"


def home(request: Any) -> HttpResponse:
    found: Page = page(request)
    found.prefetch(KEYS)
    found.experience("homepage-banner")
    return render(request, "home.html", {"link": banner_link(request, found)})


async def home_async(request: Any) -> HttpResponse:
    found = await apage(request, *KEYS)
    return render(request, "home.html", {"link": banner_link(request, found)})


def click(request: Any) -> HttpResponse:
    try:
        get_reporter().put(signer.event(request.GET.get("token", "")))
    except InvalidRequestError:
        return HttpResponseBadRequest("not a click")
    response: HttpResponse = redirect("/offers")
    response.status_code = 303
    return response


def offers(request: Any) -> HttpResponse:
    return HttpResponse('<!doctype html><html lang="en"><title>Offers</title><h1>Our offers</h1></html>')


urlpatterns = [path("", home), path("async", home_async), path("click", click), path("offers", offers)]
wsgi, asgi = get_wsgi_application(), with_lifespan(get_asgi_application())
