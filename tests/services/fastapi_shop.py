"""A small shop page with FastAPI; run as a process, fastapi_shop:app."""

from __future__ import annotations

import os
from functools import partial
from html import escape
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

from moengage_personalize import AsyncPage, AsyncPersonalizeClient, InvalidRequestError
from moengage_personalize.integrations.clicks import ClickSigner
from moengage_personalize.integrations.fastapi import Personalize

BANNER = "homepage-banner"


async def visitor(customer: Annotated[str | None, Cookie()] = None) -> str | None:
    return customer  # a shop would read its session


personalize = Personalize(visitor, make_client=partial(AsyncPersonalizeClient.from_env, timeout=5))
signer = ClickSigner([os.environ["CLICK_KEY"]])
app = FastAPI(lifespan=personalize.lifespan)


def html(page: AsyncPage, banner_link: str) -> HTMLResponse:
    title, label = page.string(BANNER, "Title", "Welcome"), page.string(BANNER, "CtaLabel", "Offers")
    strip = page.string("promo-strip", "Text", "")
    return HTMLResponse(
        f'<!doctype html><html lang="en"><title>Shop</title><h1>{escape(title)}</h1>'
        f'<p>{escape(strip)}</p><a href="{banner_link}">{escape(label)}</a></html>'
    )


@app.get("/")
async def home(
    page: Annotated[AsyncPage, Depends(personalize.page(BANNER, "promo-strip"))],
    customer: Annotated[str | None, Depends(visitor)],
) -> HTMLResponse:
    context = page.contexts().get(BANNER)
    if context is None or customer is None:
        return html(page, "/offers")
    return html(page, f"/click?token={signer.sign(context, customer_id=customer, element='Banner')}")


@app.get("/threaded")
def threaded(page: Annotated[AsyncPage, Depends(personalize.page(BANNER))]) -> HTMLResponse:
    return html(page, "/offers")


@app.get("/click")
async def click(token: str) -> RedirectResponse:
    try:
        personalize.reporter.put(signer.event(token))
    except InvalidRequestError as error:
        raise HTTPException(400, "not a click") from error
    return RedirectResponse("/offers", 303)


@app.get("/offers")
async def offers() -> HTMLResponse:
    return HTMLResponse('<!doctype html><html lang="en"><title>Offers</title><h1>Our offers</h1></html>')
