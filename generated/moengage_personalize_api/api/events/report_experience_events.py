from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_response import ErrorResponse
from ...models.report_events_request import ReportEventsRequest
from ...models.report_events_response import ReportEventsResponse
from ...types import Response


def _get_kwargs(
    *,
    body: ReportEventsRequest,
    moe_appkey: str,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    headers["MOE-APPKEY"] = moe_appkey

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/experiences/events",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorResponse | ReportEventsResponse | None:
    if response.status_code == 200:
        response_200 = ReportEventsResponse.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = ErrorResponse.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = ErrorResponse.from_dict(response.json())

        return response_401

    if response.status_code == 500:
        response_500 = ErrorResponse.from_dict(response.json())

        return response_500

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[ErrorResponse | ReportEventsResponse]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ReportEventsRequest,
    moe_appkey: str,
) -> Response[ErrorResponse | ReportEventsResponse]:
    """Report that experiences were seen or clicked

     What the dashboard counts as impressions and clicks. Events are accepted now and processed later;
    one that comes twice with the same moe_event_uuid counts once.

    Args:
        moe_appkey (str):
        body (ReportEventsRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | ReportEventsResponse]
    """

    kwargs = _get_kwargs(
        body=body,
        moe_appkey=moe_appkey,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: ReportEventsRequest,
    moe_appkey: str,
) -> ErrorResponse | ReportEventsResponse | None:
    """Report that experiences were seen or clicked

     What the dashboard counts as impressions and clicks. Events are accepted now and processed later;
    one that comes twice with the same moe_event_uuid counts once.

    Args:
        moe_appkey (str):
        body (ReportEventsRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | ReportEventsResponse
    """

    return sync_detailed(
        client=client,
        body=body,
        moe_appkey=moe_appkey,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ReportEventsRequest,
    moe_appkey: str,
) -> Response[ErrorResponse | ReportEventsResponse]:
    """Report that experiences were seen or clicked

     What the dashboard counts as impressions and clicks. Events are accepted now and processed later;
    one that comes twice with the same moe_event_uuid counts once.

    Args:
        moe_appkey (str):
        body (ReportEventsRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | ReportEventsResponse]
    """

    kwargs = _get_kwargs(
        body=body,
        moe_appkey=moe_appkey,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: ReportEventsRequest,
    moe_appkey: str,
) -> ErrorResponse | ReportEventsResponse | None:
    """Report that experiences were seen or clicked

     What the dashboard counts as impressions and clicks. Events are accepted now and processed later;
    one that comes twice with the same moe_event_uuid counts once.

    Args:
        moe_appkey (str):
        body (ReportEventsRequest):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | ReportEventsResponse
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            moe_appkey=moe_appkey,
        )
    ).parsed
