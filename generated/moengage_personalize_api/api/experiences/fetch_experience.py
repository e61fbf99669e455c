from http import HTTPStatus
from typing import Any

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error_response import ErrorResponse
from ...models.fetch_experience_request import FetchExperienceRequest
from ...models.fetch_experience_response import FetchExperienceResponse
from ...types import Response


def _get_kwargs(
    *,
    body: FetchExperienceRequest,
    moe_appkey: str,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    headers["MOE-APPKEY"] = moe_appkey

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/experiences/fetch",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> ErrorResponse | FetchExperienceResponse | None:
    if response.status_code == 200:
        response_200 = FetchExperienceResponse.from_dict(response.json())

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
) -> Response[ErrorResponse | FetchExperienceResponse]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: FetchExperienceRequest,
    moe_appkey: str,
) -> Response[ErrorResponse | FetchExperienceResponse]:
    """Fetch Experience

     This API receives data on active personalization experiences. You can fetch data for one or more
    server-side experiences by using the **experience_key** field. MoEngage will evaluate targeting
    rules and in-session attributes automatically and return the correct variation for the user.
    Typically, you would make this call as part of your larger page and content rendering pipeline.

    Args:
        moe_appkey (str):  Example: Workspace ID.
        body (FetchExperienceRequest): To target users on contextual signals such as UTM
            parameters, referrer, or any custom in-session attribute configured for your workspace,
            pass the parameter as a top-level field in the request body using the parameter's own name
            as the key.

            For example, if you have configured an in-session attribute with the query parameter name
            `utm_medium` and want to target users who arrived from an email campaign:

            ```json
            {
              "identifiers": { "customer_id": "user_8821" },
              "experience_key": ["email-landing-banner"],
              "utm_medium": "email"
            }
            ```

            You can pass any number of these custom keys alongside the documented fields below.
             Example: {'identifiers': {'customer_id': 'user_8821'}, 'experience_key': ['email-landing-
            banner'], 'utm_medium': 'email'}.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | FetchExperienceResponse]
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
    body: FetchExperienceRequest,
    moe_appkey: str,
) -> ErrorResponse | FetchExperienceResponse | None:
    """Fetch Experience

     This API receives data on active personalization experiences. You can fetch data for one or more
    server-side experiences by using the **experience_key** field. MoEngage will evaluate targeting
    rules and in-session attributes automatically and return the correct variation for the user.
    Typically, you would make this call as part of your larger page and content rendering pipeline.

    Args:
        moe_appkey (str):  Example: Workspace ID.
        body (FetchExperienceRequest): To target users on contextual signals such as UTM
            parameters, referrer, or any custom in-session attribute configured for your workspace,
            pass the parameter as a top-level field in the request body using the parameter's own name
            as the key.

            For example, if you have configured an in-session attribute with the query parameter name
            `utm_medium` and want to target users who arrived from an email campaign:

            ```json
            {
              "identifiers": { "customer_id": "user_8821" },
              "experience_key": ["email-landing-banner"],
              "utm_medium": "email"
            }
            ```

            You can pass any number of these custom keys alongside the documented fields below.
             Example: {'identifiers': {'customer_id': 'user_8821'}, 'experience_key': ['email-landing-
            banner'], 'utm_medium': 'email'}.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | FetchExperienceResponse
    """

    return sync_detailed(
        client=client,
        body=body,
        moe_appkey=moe_appkey,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: FetchExperienceRequest,
    moe_appkey: str,
) -> Response[ErrorResponse | FetchExperienceResponse]:
    """Fetch Experience

     This API receives data on active personalization experiences. You can fetch data for one or more
    server-side experiences by using the **experience_key** field. MoEngage will evaluate targeting
    rules and in-session attributes automatically and return the correct variation for the user.
    Typically, you would make this call as part of your larger page and content rendering pipeline.

    Args:
        moe_appkey (str):  Example: Workspace ID.
        body (FetchExperienceRequest): To target users on contextual signals such as UTM
            parameters, referrer, or any custom in-session attribute configured for your workspace,
            pass the parameter as a top-level field in the request body using the parameter's own name
            as the key.

            For example, if you have configured an in-session attribute with the query parameter name
            `utm_medium` and want to target users who arrived from an email campaign:

            ```json
            {
              "identifiers": { "customer_id": "user_8821" },
              "experience_key": ["email-landing-banner"],
              "utm_medium": "email"
            }
            ```

            You can pass any number of these custom keys alongside the documented fields below.
             Example: {'identifiers': {'customer_id': 'user_8821'}, 'experience_key': ['email-landing-
            banner'], 'utm_medium': 'email'}.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[ErrorResponse | FetchExperienceResponse]
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
    body: FetchExperienceRequest,
    moe_appkey: str,
) -> ErrorResponse | FetchExperienceResponse | None:
    """Fetch Experience

     This API receives data on active personalization experiences. You can fetch data for one or more
    server-side experiences by using the **experience_key** field. MoEngage will evaluate targeting
    rules and in-session attributes automatically and return the correct variation for the user.
    Typically, you would make this call as part of your larger page and content rendering pipeline.

    Args:
        moe_appkey (str):  Example: Workspace ID.
        body (FetchExperienceRequest): To target users on contextual signals such as UTM
            parameters, referrer, or any custom in-session attribute configured for your workspace,
            pass the parameter as a top-level field in the request body using the parameter's own name
            as the key.

            For example, if you have configured an in-session attribute with the query parameter name
            `utm_medium` and want to target users who arrived from an email campaign:

            ```json
            {
              "identifiers": { "customer_id": "user_8821" },
              "experience_key": ["email-landing-banner"],
              "utm_medium": "email"
            }
            ```

            You can pass any number of these custom keys alongside the documented fields below.
             Example: {'identifiers': {'customer_id': 'user_8821'}, 'experience_key': ['email-landing-
            banner'], 'utm_medium': 'email'}.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        ErrorResponse | FetchExperienceResponse
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            moe_appkey=moe_appkey,
        )
    ).parsed
