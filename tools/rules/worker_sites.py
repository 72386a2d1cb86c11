"""Who may see every user's rows: file → functions, each group for the reason above it."""

from __future__ import annotations

WORKER_SITES: dict[str, frozenset[str]] = {
    # The chassis: whether the database answers, claims and ends of jobs, the relay and its partitions.
    "libs/common/db.py": frozenset({"Database.probe"}),
    "libs/common/jobs.py": frozenset({"still_ours", "extend", "JobRunner._turn", "JobRunner._store"}),
    "libs/common/schema.py": frozenset({"_missing"}),
    "libs/common/outbox.py": frozenset({"Relay.turn", "Relay.maintain"}),
    # Who somebody is, asked by name, session or key before there is a user.
    "services/gateway/accounts.py": frozenset({"logout", "of_session", "of_key", "_proven"}),
    # Whose inbox a bot would have; which connections of bots outlived their keys.
    "services/gateway/bots.py": frozenset({"_is_ambiguous", "sweep"}),
    # Sweeping what is over, for everybody.
    "services/gateway/upkeep.py": frozenset({"check_rights", "plan", "forget"}),
    # What operators count, of everybody.
    "services/monitor/counting.py": frozenset({"count_incidents"}),
    "services/orders/counting.py": frozenset({"count_unknown", "unreadable"}),
    # Marks: one batch touches every holder.
    "services/monitor/handlers.py": frozenset({"on_marks"}),
    # An account is unique across users, which only somebody who sees all of them can hold to.
    "services/orders/accounts.py": frozenset({"_opened_paper"}),
    # The operator changes the key of everybody's tokens.
    "services/orders/admin.py": frozenset({"_sweep"}),
    "services/orders/credentials.py": frozenset({"kept"}),
    # Marks in one statement for all holders; what must be watched, asked by the system; whatever a crash left behind.
    "services/orders/marks.py": frozenset({"on_marks"}),
    "services/orders/handlers_queries.py": frozenset({"list_tracked"}),
    "services/orders/expiry.py": frozenset({"find", "_make_due", "plan_jobs"}),
    "services/orders/fees.py": frozenset({"find", "plan_jobs"}),
    "services/orders/stops.py": frozenset({"find", "plan_jobs"}),
    "services/orders/recovery.py": frozenset({"recover", "watch", "plan_jobs"}),
    "services/orders/upkeep.py": frozenset({"forget", "plan_jobs"}),
    # Contracts, chains and snapshots are shared by all holders.
    "services/pricing/chain.py": frozenset({"Chains._cached", "Chains._fetch_and_keep"}),
    "services/pricing/handlers.py": frozenset({"rebuild"}),
    "services/pricing/snapshots.py": frozenset({"snapshot_cycle"}),
}
