"""Who of 1 million customers is written to by 20 campaigns under 5 caps, one person alone, and offers under budgets.

Run ``python benchmarks/campaigns.py`` from the project's root, with ``--highs`` for the rival too. The log has
10 million events and 5 million messages.
The rival of `allocate` is the linear program of the same limits by HiGHS, for 20,000 customers: at a million it does
not come to an end in any useful time.
"""

import timing  # isort: skip  (sets the BLAS to one thread before numpy loads)

import resource
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

from relmark import (
    Customer,
    CustomerBase,
    CustomerHistory,
    CustomerTable,
    Event,
    EventLog,
    days,
    event,
    field,
    hours,
    prop,
)
from relmark.campaigns import Campaign, Cap, Chain, ContactPolicy, QuietHours, Step, allocate

SEED, PEOPLE, EVENTS, MESSAGES = 20_261_101, 1_000_000, 10_000_000, 5_000_000
AS_OF = np.datetime64("2026-11-01T12:00", "us")
TYPES = ("cart", "purchase", "signup", "unsubscribe", "visit")
CHANNELS = ("email", "push", "sms")
BOUGHT = event("purchase")


def campaigns():
    found = [
        Campaign("receipt", trigger=BOUGHT, who=BOUGHT.exists(within=hours(6)), channels=["email"], transactional=True),
        Campaign("basket", who=event("cart").exists(within=days(3)), trigger=event("cart"), channels=["push", "email"],
                 again=days(7)),
        Chain("welcome", starts=event("signup"), until=BOUGHT, channels=["email"], late=days(2), control=0.1,
              step_control=0.05, steps=[Step("hello"), Step("code", after=days(3), when=~event("visit").exists(
                  within=days(2))), Step("last", after=days(7))]),
    ]  # fmt: skip
    found += [
        Campaign(
            f"news {k}", who=(field("value") >= 20 * k) & (BOUGHT.count(within=days(30 + 10 * k)) >= 1),
            channels=["email", "push"][: 1 + k % 2], category="promo", again=days(7 + k), control=0.05,
            limit=50_000 if k == 3 else None, best_by=field("value") if k == 3 else None,
        )
        for k in range(17)
    ]  # fmt: skip
    return found


POLICY = ContactPolicy(
    "shop", campaigns=campaigns(), gap=hours(4), quiet=QuietHours("21:00", "09:00"), prefer=field("best"),
    channels={
        "email": ~event("unsubscribe", where=prop("channel") == "email").exists(), "push": field("push") == True,  # noqa: E712
        "sms": field("push") == False,  # noqa: E712
    },
    caps=[Cap(1, per="day"), Cap(3, within=days(7)), Cap(1, within=days(30), channel="sms"), Cap(8, per="month"),
          Cap(2, within=days(7), category="promo")],
)  # fmt: skip


def base():
    rng = np.random.default_rng(SEED)
    when = np.sort(rng.integers(0, 365 * 86_400, EVENTS)).astype("m8[s]") + np.datetime64("2025-11-01", "s")
    kind = np.array(TYPES)[rng.choice(5, EVENTS, p=(0.08, 0.1, 0.02, 0.01, 0.79))]
    events = EventLog.from_columns(
        customer_id=rng.integers(0, PEOPLE, EVENTS), type=kind, time=when,
        properties={"channel": np.array(CHANNELS)[rng.integers(0, 3, EVENTS)]},
    )  # fmt: skip
    when = np.sort(rng.integers(0, 365 * 86_400, MESSAGES)).astype("m8[s]") + np.datetime64("2025-11-01", "s")
    names = np.array([one.name for one in POLICY.campaigns])
    sent = EventLog.from_columns(
        customer_id=rng.integers(0, PEOPLE, MESSAGES), time=when,
        type=np.where(rng.random(MESSAGES) < 0.95, "message_sent", "message_withheld"),
        properties={"campaign": names[rng.integers(0, 20, MESSAGES)],
                    "channel": np.array(CHANNELS)[rng.integers(0, 3, MESSAGES)]},
    )  # fmt: skip
    people = CustomerTable.from_columns(
        customer_id=np.arange(PEOPLE), value=rng.gamma(2.0, 60.0, PEOPLE), push=rng.random(PEOPLE) < 0.4,
        best=np.array(CHANNELS)[rng.integers(0, 3, PEOPLE)],
    )  # fmt: skip
    return CustomerBase(customers=people, events=events.append(sent))


def one_person():
    start = datetime(2026, 9, 1, tzinfo=UTC)
    events = [Event("c", TYPES[k % 5], start + timedelta(hours=25 * k), properties={"channel": "email"})
              for k in range(40)]  # fmt: skip
    events += [Event("c", "message_sent", start + timedelta(hours=120 * k),
                     properties={"campaign": f"news {k}", "channel": "email"}) for k in range(10)]  # fmt: skip
    history = CustomerHistory(Customer("c", {"value": 300.0, "push": True, "best": "push"}), events)
    policy = ContactPolicy("ten", campaigns=POLICY.campaigns[:10], channels=POLICY.channels, caps=POLICY.caps,
                           quiet=POLICY.quiet, gap=POLICY.gap, prefer=POLICY.prefer)  # fmt: skip
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    policy.one(history, as_of=at).next_change  # noqa: B018  (compiled once)
    for name, ask in (("answer", lambda one: one.messages), ("answer and next change", lambda one: one.next_change)):
        rounds = 300
        begin = time.process_time()
        for k in range(rounds):
            ask(policy.one(history, as_of=at + timedelta(seconds=k)))
        print(f"one person, 10 campaigns, 50 events, {name}: {(time.process_time() - begin) / rounds * 1e6:,.0f} us")


def offers(n):
    rng = np.random.default_rng(SEED)
    values = np.maximum(rng.gamma(2.0, 1.0, (n, 10)) + rng.normal(0, 0.3, 10), 0)
    return values, rng.random((n, 10)) * 2 + 0.2, [f"o{j}" for j in range(10)]


def allocated(n):
    values, cost, names = offers(n)
    begin = time.process_time()
    found = allocate(values, customer_id=np.arange(n), offers=names, capacity=dict.fromkeys(names, 0.08 * n),
                     cost=cost, budget=0.5 * n)  # fmt: skip
    spent = time.process_time() - begin
    print(f"allocate {n:,} by 10: {spent:.2f} s of CPU, gap {found.gap:.1e}")
    return spent, found.value


def highs(n):
    values, cost, _ = offers(n)
    each = csr_array((np.ones(n * 10), (np.repeat(np.arange(n), 10), np.arange(n * 10))))
    offer = csr_array((np.ones(n * 10), (np.tile(np.arange(10), n), np.arange(n * 10))))
    begin = time.process_time()
    found = linprog(
        -values.ravel(), A_ub=vstack([each, offer, csr_array(cost.reshape(1, -1))]), bounds=(0, 1), method="highs",
        b_ub=np.concatenate([np.ones(n), np.full(10, 0.08 * n), [0.5 * n]]),
    )  # fmt: skip
    return time.process_time() - begin, -found.fun


def main():
    print(timing.heading())
    everybody = base()
    for _ in range(2):
        begin = time.process_time()
        due = POLICY.evaluate(everybody, as_of=AS_OF)
        print(f"policy of 20 campaigns, {PEOPLE:,} customers: {time.process_time() - begin:.2f} s of CPU, {due!r}")
    begin = time.process_time()
    held = due.held
    print(f"  its {len(held):,} holds in words: {time.process_time() - begin:.2f} s")
    one_person()
    spent, value = allocated(20_000)
    if "--highs" in sys.argv:
        rival, best = highs(20_000)
        ratio = rival / spent
        once = timing.Timing(spent, rival, ratio, ratio, ratio)
        timing.report({"10 offers for 20,000 people, linear program by HiGHS": (once, "20")})
        print(f"its value is {best / value - 1:.1e} more")
    del everybody, due, held
    allocated(1_000_000)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    main()
