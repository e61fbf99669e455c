from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_response import ErrorResponse
from ...models.metadata_response import MetadataResponse
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    status: str | Unset = UNSET,
    moe_appkey: str,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    headers["MOE-APPKEY"] = moe_appkey

    params: dict[str, Any] = {}

    params["status"] = status

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/experiences/metadata",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorResponse | MetadataResponse | None:
    if response.status_code == 200:
        response_200 = MetadataResponse.from_dict(response.json())

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
) -> Response[ErrorResponse | MetadataResponse]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    status: str | Unset = UNSET,
    moe_appkey: str,
) -> Response[ErrorResponse | MetadataResponse]:
    """List the experiences of the workspace

     Every server-side experience with its key, name and status; for start-up, and then about once a day.

    Args:
        status (str | Unset):
        moe_appkey (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | MetadataResponse]
    """

    kwargs = _get_kwargs(
        status=status,
        moe_appkey=moe_appkey,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    status: str | Unset = UNSET,
    moe_appkey: str,
) -> ErrorResponse | MetadataResponse | None:
    """List the experiences of the workspace

     Every server-side experience with its key, name and status; for start-up, and then about once a day.

    Args:
        status (str | Unset):
        moe_appkey (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | MetadataResponse
    """

    return sync_detailed(
        client=client,
        status=status,
        moe_appkey=moe_appkey,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    status: str | Unset = UNSET,
    moe_appkey: str,
) -> Response[ErrorResponse | MetadataResponse]:
    """List the experiences of the workspace

     Every server-side experience with its key, name and status; for start-up, and then about once a day.

    Args:
        status (str | Unset):
        moe_appkey (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | MetadataResponse]
    """

    kwargs = _get_kwargs(
        status=status,
        moe_appkey=moe_appkey,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    status: str | Unset = UNSET,
    moe_appkey: str,
) -> ErrorResponse | MetadataResponse | None:
    """List the experiences of the workspace

     Every server-side experience with its key, name and status; for start-up, and then about once a day.

    Args:
        status (str | Unset):
        moe_appkey (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | MetadataResponse
    """

    return (
        await asyncio_detailed(
            client=client,
            status=status,
            moe_appkey=moe_appkey,
        )
    ).parsed
