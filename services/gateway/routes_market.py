"""The market: session, expirations, chain. Pricing answers from its cache or one refresh shared by all users."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from libs.common.errors import NotFound, UpstreamAuth
from libs.common.messages.pricing import GetChain, GetMarketStatus, ListExpirations
from services.gateway.declared import READ, operation_name, problems
from services.gateway.models_base import Ticker
from services.gateway.models_market import Chain, ChainAsked, Expirations, MarketStatus, StatusAsked
from services.gateway.permissions import Viewer

router = APIRouter(prefix="/api/market", tags=["market"], generate_unique_id_function=operation_name)

TickerPath = Annotated[Ticker, Path()]
LOOK_UP = problems(*READ, NotFound, UpstreamAuth)


@router.get("/status", response_model=MarketStatus, responses=problems(*READ))
async def market_status(caller: Viewer, asked: Annotated[StatusAsked, Query()]) -> Response:
    """Tell the session of the user's venue."""
    return await caller.ask(GetMarketStatus(**asked.model_dump()))


@router.get("/expirations/{ticker:path}", response_model=Expirations, responses=LOOK_UP)
async def expirations(caller: Viewer, ticker: TickerPath) -> Response:
    """List the expiries of an underlying."""
    return await caller.ask(ListExpirations(ticker=ticker))


@router.get("/chain/{ticker:path}", response_model=Chain, responses=LOOK_UP)
async def chain(caller: Viewer, ticker: TickerPath, asked: Annotated[ChainAsked, Query()]) -> Response:
    """Show the contracts of one expiry."""
    return await caller.ask(GetChain(ticker=ticker, expiry=asked.expiry))
