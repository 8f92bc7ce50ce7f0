"""Everything that the answering of requests shares: the exchange's parts, joined once."""

from __future__ import annotations

from actors.venues.simulated.config import VenueConfig
from actors.venues.simulated.disturbances import Disturbances
from actors.venues.simulated.errors import VenueError
from actors.venues.simulated.floor import Floor
from actors.venues.simulated.ledger import Ledger, Wallet
from actors.venues.simulated.lifecycle import Lifecycle
from actors.venues.simulated.listing import Listing
from actors.venues.simulated.order import Order
from actors.venues.simulated.parameters import Parameters
from actors.venues.simulated.record import Record
from actors.venues.simulated.shelf import Shelf


class VenueState:
    """The parts; requests read them and go through `floor` to change them."""

    def __init__(
        self,
        config: VenueConfig,
        listings: dict[str, Listing],
        ledger: Ledger,
        shelf: Shelf,
        record: Record,
        life: Lifecycle,
        disturbances: Disturbances,
    ) -> None:
        self.config = config
        self.listings = listings
        self.ledger = ledger
        self.shelf = shelf
        self.record = record
        self.floor = Floor(life)
        self.disturbances = disturbances

    def listing(self, parameters: Parameters) -> Listing:
        """The pair named by the mandatory `symbol`. Raises VenueError -1102, -1100, -1121."""
        return self.listing_named(parameters.symbol_name())

    def listing_named(self, symbol: str) -> Listing:
        listing = self.listings.get(symbol)
        if listing is None:
            raise VenueError(-1121, "Invalid symbol.")
        return listing

    def asked_listings(self, parameters: Parameters) -> tuple[list[Listing], bool]:
        """The pairs of `symbol` or `symbols` (all when neither was sent), and whether one dict is the answer.

        Raises VenueError -1128 when both were sent, -1121 for a pair that does not exist.
        """
        symbols = parameters.names("symbols")
        if parameters.has("symbol"):
            if symbols is not None:
                raise VenueError(-1128, "Combination of optional parameters invalid.")
            return [self.listing(parameters)], True
        if symbols is not None:
            return [self.listing_named(symbol) for symbol in symbols], False
        return list(self.listings.values()), False

    def wallet(self, account: str) -> Wallet:
        return self.ledger.wallets[account]

    def find_order(self, parameters: Parameters, account: str, listing: Listing) -> Order | None:
        """The order of `orderId`, `origClientOrderId` or both. Raises VenueError -1102 without either."""
        order_id = parameters.integer("orderId")
        client_id = parameters.client_id("origClientOrderId")
        if order_id is None and client_id is None:
            raise VenueError(
                -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            )
        return self.shelf.find(account, listing.pair.symbol, order_id, client_id)

    def check_may_order(self, listing: Listing, now_us: int) -> None:
        """Raises VenueError -1013 while the pair does not take orders."""
        if self.disturbances.status(listing.pair.symbol, now_us) != "TRADING":
            raise VenueError(-1013, "Market is closed.")

    def check_may_cancel(self, listing: Listing, now_us: int) -> None:
        """Raises VenueError -2011 while the pair does not even take cancels."""
        if self.disturbances.status(listing.pair.symbol, now_us) not in ("TRADING", "CANCEL_ONLY"):
            raise VenueError(-2011, "Market is closed.")
