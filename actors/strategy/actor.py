"""The strategy actor: carries books, trades and answers to one strategy, and its wishes to risk."""

from __future__ import annotations

from actors.messages import (
    Book,
    BookLost,
    CancelWanted,
    InstrumentRules,
    ModeChanged,
    OrderChanged,
    OrderIntent,
    PositionChanged,
    Positions,
    PositionsWanted,
    Reconciled,
    ReconciledWanted,
    RefusedOrder,
    RulesWanted,
    TradeTick,
)
from actors.strategy.protocol import Strategy, StrategyMaker, Wish
from supervisor.actor import Actor
from supervisor.mailbox import Address
from supervisor.message import Answer, AskFailed, Message

POSITIONS_TIMEOUT_S = 2.0
RETRY_S = 0.5


class AskAgain(Message, frozen=True):
    """To itself: the positions are still not known."""


class StrategyActor(Actor):
    """One strategy on one instrument. Each life begins without a memory and asks for position and orders.

    `make` builds the strategy; `name` is what it signs its intents with. `Book` belongs into the address's
    `latest`, by instrument.
    """

    def __init__(
        self,
        make: StrategyMaker,
        name: str,
        instrument: str,
        *,
        risk: Address,
        orders: Address,
        portfolio: Address,
        rest: Address,
    ) -> None:
        self._make = make
        self._name = name
        self._instrument = instrument
        self._risk = risk
        self._orders = orders
        self._portfolio = portfolio
        self._rest = rest
        self._strategy: Strategy

    def started(self) -> None:
        # Made here, since the ids come from the world, which is not known before.
        self._strategy = self._make(lambda: int(self.world.new_id(), 16) >> 1)
        self.tell(self._rest, RulesWanted(instruments=(self._instrument,)))
        self.tell(self._orders, ReconciledWanted())
        self._ask_position()
        # Until the position is known the strategy enters nothing, so it need not hold up the others' start.
        self.ready()

    def on_book(self, book: Book) -> None:
        wishes = self._strategy.on_book(book, self.now_ns)
        if wishes:
            self._wish(wishes)

    def on_trade(self, trade: TradeTick) -> None:
        wishes = self._strategy.on_trade(trade, self.now_ns)
        if wishes:
            self._wish(wishes)

    def on_book_lost(self, message: BookLost) -> None:
        self._strategy.on_book_lost()

    def on_rules(self, rules: InstrumentRules) -> None:
        if rules.instrument == self._instrument:
            self._strategy.on_rules(rules)

    def on_mode(self, message: ModeChanged) -> None:
        self._strategy.on_mode(message.mode)

    def on_order(self, change: OrderChanged) -> None:
        if change.strategy == self._name and change.instrument == self._instrument:
            self._strategy.on_order(change, self.now_ns)

    def on_refused(self, refused: RefusedOrder) -> None:
        self._strategy.on_refused(refused, self.now_ns)

    def on_position(self, position: PositionChanged) -> None:
        if position.instrument == self._instrument:
            self._strategy.on_position(position, self.now_ns)

    def on_reconciled(self, message: Reconciled) -> None:
        for change in message.open_orders:
            self.on_order(change)

    def on_answer(self, answer: Answer) -> None:
        if isinstance(answer.message, Positions) and answer.message.positions:
            for position in answer.message.positions:
                self.on_position(position)
        else:
            # Portfolio does not know the instrument's rules yet.
            self.after(RETRY_S, AskAgain())

    def on_ask_failed(self, failed: AskFailed) -> None:
        self.after(RETRY_S, AskAgain())

    def on_ask_again(self, message: AskAgain) -> None:
        self._ask_position()

    def _ask_position(self) -> None:
        self.ask(
            self._portfolio, PositionsWanted(instruments=(self._instrument,)), timeout_s=POSITIONS_TIMEOUT_S
        )

    def _wish(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            if isinstance(wish, OrderIntent):
                self.tell(self._risk, wish)
                self.publish(wish)
            else:
                assert isinstance(wish, CancelWanted)
                self.tell(self._orders, wish)
