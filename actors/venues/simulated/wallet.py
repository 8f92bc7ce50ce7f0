"""The wallet's answers that clients ask for at their start: coins, what a key may do, fees.

Source: Binance's wallet documentation (/sapi/v1/capital/config/getall, /account/apiRestrictions,
/asset/tradeFee). The simulated venue has no networks and no withdrawals, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from actors.venues.simulated.auth import ApiKey
from actors.venues.simulated.config import VenueConfig
from actors.venues.simulated.errors import VenueError


def coins(config: VenueConfig, account_status: object) -> list[dict[str, object]]:
    """One row per coin that is traded or owned, with what the account has of it."""
    owned: dict[str, Mapping[str, str]] = {}
    if isinstance(account_status, Mapping):
        owned = {row["asset"]: row for row in account_status["balances"]}
    names = {symbol.base for symbol in config.symbols} | {symbol.quote for symbol in config.symbols}
    rows: list[dict[str, object]] = []
    for coin in sorted(names | set(owned)):
        row = owned.get(coin, {})
        rows.append(
            {
                "coin": coin,
                "depositAllEnable": False,
                "free": row.get("free", "0"),
                "freeze": "0",
                "ipoable": "0",
                "ipoing": "0",
                "isLegalMoney": False,
                "locked": row.get("locked", "0"),
                "name": coin,
                "networkList": [],
                "storage": "0",
                "trading": True,
                "withdrawAllEnable": False,
                "withdrawing": "0",
            }
        )
    return rows


def restrictions(key: ApiKey) -> dict[str, object]:
    """What the key may do."""
    return {
        "ipRestrict": key.ip_restricted,
        "createTime": 1_600_000_000_000,
        "enableReading": "USER_DATA" in key.permissions,
        "enableSpotAndMarginTrading": "TRADE" in key.permissions,
        "enableWithdrawals": key.withdrawals,
        "enableInternalTransfer": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableMargin": False,
        "enableFutures": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enablePortfolioMarginTrading": False,
    }


def fees(config: VenueConfig, account: str | None, symbol: str | None) -> list[dict[str, str]]:
    """Maker and taker fee of each pair, as fractions. Raises VenueError -1121 for an unknown symbol."""
    rates = next(a for a in config.accounts if a.name == account)
    names = [s.symbol for s in config.symbols if symbol in (None, s.symbol)]
    if not names:
        raise VenueError(-1121, "Invalid symbol.")
    maker, taker = (str(bps / Decimal(10_000)) for bps in (rates.maker_bps, rates.taker_bps))
    return [{"symbol": name, "makerCommission": maker, "takerCommission": taker} for name in names]
