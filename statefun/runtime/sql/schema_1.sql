-- The first schema. Strings that stand in many rows are numbers here; the views show them as they are.

create table meta (key text primary key, value text not null) without rowid, strict;
create table names (id integer primary key, text text not null unique) strict;

create table state (
    function integer not null, id text not null, name integer not null,
    typename integer not null, value blob not null, expires_at integer,
    primary key (function, id, name)
) without rowid, strict;

-- Messages that wait. A message is the content of ToFunction.Invocation; a parked one is read by address, not in turn.
create table inbox (
    seq integer primary key, function integer not null, id text not null, message blob not null, parked integer not null
) strict;
create index inbox_parked on inbox (function, id, seq) where parked = 1;

create table delayed (
    seq integer primary key, due integer not null, function integer not null, id text not null,
    message blob not null, sender text not null, token text not null
) strict;
create index delayed_due on delayed (due, seq);

create table record (
    seq integer primary key, egress integer not null, typename integer not null, value blob not null
) strict;

create table failure (
    function integer not null, id text not null, seq integer not null, attempts integer not null,
    first_at integer not null, last_at integer not null, retry_at integer not null,
    error text not null, detail text not null,
    primary key (function, id)
) without rowid, strict;

create table skipped (
    seq integer primary key, function integer not null, id text not null, message blob not null,
    error text not null, at integer not null
) strict;

-- Where each ingress has read to, and each egress has written to, as JSON.
create table position (name text primary key, value text not null) without rowid, strict;

-- Answers that are remembered for an Idempotency-Key.
create table answered (key text primary key, at integer not null, answer text not null) without rowid, strict;
create index answered_at on answered (at);

-- What the app accepts and stores, so that a value can be read without it.
create table catalog (key text primary key, value blob not null) without rowid, strict;

create view states as
    select f.text as function, s.id, n.text as state, t.text as typename, s.value, s.expires_at
    from state s join names f on f.id = s.function join names n on n.id = s.name left join names t on t.id = s.typename;
create view records as
    select r.seq, e.text as egress, t.text as typename, r.value
    from record r join names e on e.id = r.egress join names t on t.id = r.typename;
