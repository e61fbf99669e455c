"""A small shop page with Flask; run as a process, flask_shop:app."""

from __future__ import annotations

import os
from functools import partial

from flask import Flask, abort, redirect, render_template_string, request
from werkzeug.wrappers import Response

from moengage_personalize import InvalidRequestError, PersonalizeClient
from moengage_personalize.integrations.clicks import ClickSigner
from moengage_personalize.integrations.flask import Personalize

HOME = """\
<!doctype html><html lang="en"><title>Shop</title>
<style>
  body { font: 18px system-ui; margin: 3em }
  h1 { color: #b3261e }
  a { padding: .5em 1em; background: #ffd8e4 }
</style>
<h1>{{ personalize.string("homepage-banner", "Title", "Welcome") }}</h1>
<p>{{ personalize.string("promo-strip", "Text", "") }}</p>
<a href="{{ banner_link() }}">{{ personalize.string("homepage-banner", "CtaLabel", "Offers") }}</a></html>
"""

app = Flask(__name__)
personalize = Personalize(
    app,
    customer_id=lambda: request.cookies.get("customer"),  # a shop would read its session
    make_client=partial(PersonalizeClient.from_env, timeout=5),
)
signer = ClickSigner([os.environ["CLICK_KEY"]])


@app.template_global()
def banner_link() -> str:
    banner, customer = personalize.page.experience("homepage-banner"), request.cookies.get("customer")
    if banner is None or customer is None:
        return "/offers"
    return f"/click?token={signer.sign(banner.context, customer_id=customer, element='Banner')}"


@app.get("/")
def home() -> str:
    personalize.page.prefetch(["homepage-banner", "promo-strip"])
    return render_template_string(HOME)


@app.get("/click")
def click() -> Response:
    try:
        personalize.reporter.put(signer.event(request.args.get("token", "")))
    except InvalidRequestError:
        abort(400)
    return redirect("/offers", 303)


@app.get("/offers")
def offers() -> str:
    return '<!doctype html><html lang="en"><title>Offers</title><h1>Our offers</h1></html>'
