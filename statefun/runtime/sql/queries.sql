-- Every statement of the store: a name, what it is for, and the statement.

-- add_name: a string that rows will name by its number
insert into names (id, text) values (?, ?)

-- put_state: a state with its last value
insert into state values (?, ?, ?, ?, ?, ?) on conflict do update set typename = excluded.typename, value = excluded.value, expires_at = excluded.expires_at

-- remove_state: a state that is deleted or has expired
delete from state where function = ? and id = ? and name = ?

-- sweep_states: every state that has expired
delete from state where expires_at <= ?

-- load_states: the states of some addresses of one function
select id, name, typename, value, expires_at from state where function = ? and id in (:ids)

-- add_message: a message that waits
insert into inbox values (?, ?, ?, ?, ?)

-- park_message: a message that waits is not to be read in turn
update inbox set parked = 1 where seq = ?

-- unpark_all: at the start every message is read in turn
update inbox set parked = 0 where parked = 1

-- remove_message: a message that was handled
delete from inbox where seq = ?

-- load_messages: messages that wait, in turn
select seq, function, id, message from inbox where seq >= ? and parked = 0 order by seq limit ?

-- load_parked: the parked messages of one address
select seq, message from inbox where parked = 1 and function = ? and id = ? and seq >= ? and seq < ? order by seq limit ?

-- add_delayed: a message that is due later
insert into delayed (due, seq, function, id, message, sender, token) values (?, ?, ?, ?, ?, ?, ?)

-- remove_delayed: a delayed message that was delivered or cancelled
delete from delayed where seq = ?

-- load_delayed: what is due after these, in order
select due, seq, function, id, message, sender, token from delayed where (due, seq) > (?, ?) order by due, seq limit ?

-- tokens: every cancellation token in use
select sender, token, seq from delayed where token <> ''

-- add_record: a record for an egress
insert into record values (?, ?, ?, ?)

-- prune_records: records of an egress, or of all, that are older than what is kept
delete from record where seq <= ?1 and (?2 is null or egress = ?2)

-- trim_records: records of an egress beyond the newest ones
delete from record where egress = ?1 and seq <= ?3 and seq <= (select seq from record where egress = ?1 order by seq desc limit 1 offset ?2)

-- put_failure: an address that fails
insert into failure values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set seq = excluded.seq, attempts = excluded.attempts, first_at = excluded.first_at, last_at = excluded.last_at, retry_at = excluded.retry_at, error = excluded.error, detail = excluded.detail

-- remove_failure: an address that fails no more
delete from failure where function = ? and id = ?

-- failures: the failing addresses
select function, id, seq, attempts, first_at, last_at, retry_at, error, detail from failure order by last_at

-- add_skipped: a message that somebody chose to skip
insert or replace into skipped values (?, ?, ?, ?, ?, ?)

-- put_position: where an ingress has read to, or an egress has written to
insert into position values (?, ?) on conflict do update set value = excluded.value

-- positions: all of them
select name, value from position

-- put_meta: one fact about the file
insert into meta values (?, ?) on conflict do update set value = excluded.value

-- meta: one fact about the file
select value from meta where key = ?

-- names: every string with its number
select text, id from names

-- last_seq: the highest number of a message
select max(coalesce((select max(seq) from inbox), 0), coalesce((select max(seq) from delayed), 0), coalesce((select max(seq) from skipped), 0))

-- last_record: the highest number of a record
select coalesce(max(seq), 0) from record

-- put_catalog: what the app accepts and stores
insert into catalog values (?, ?) on conflict do update set value = excluded.value

-- catalog: what the app accepts and stores
select value from catalog where key = ?

-- list_states: states for people, by function and id
select function, id, name, typename, value, expires_at from state where (?1 is null or function = ?1) and (?2 is null or id = ?2) and (expires_at is null or expires_at > ?3) and (function, id) > (?4, ?5) order by function, id, name limit ?6

-- list_messages: waiting messages for people
select seq, function, id, message from inbox where (?1 is null or function = ?1) and (?2 is null or id = ?2) order by seq limit ?3

-- list_delayed: delayed messages for people
select due, seq, function, id, message, sender, token from delayed where (?1 is null or function = ?1) and (?2 is null or id = ?2) order by due, seq limit ?3

-- list_skipped: skipped messages for people
select seq, function, id, message, error, at from skipped order by seq limit ?

-- list_records: records of an egress, or of all, after one
select seq, egress, typename, value from record where (?1 is null or egress = ?1) and seq > ?2 order by seq limit ?3

-- count_records: how many records of an egress come after one
select count(*) from record where egress = ? and seq > ?

-- last_records: the newest records of an egress, or of all
select seq, egress, typename, value from (select * from record where (?1 is null or egress = ?1) order by seq desc limit ?2) order by seq

-- message_at: one waiting message
select message from inbox where seq = ?

-- answer: what was answered under an Idempotency-Key
select answer from answered where key = ? and at > ?

-- put_answer: what is answered under an Idempotency-Key
insert or replace into answered values (?, ?, ?)

-- sweep_answers: answers that are remembered no more
delete from answered where at <= ?

-- counts: how much there is of everything
select (select count(*) from state), (select count(*) from inbox), (select count(*) from delayed), (select count(*) from record), (select count(*) from failure), (select count(*) from skipped)

-- count_states: how many addresses of each function have state
select function, count(distinct id) from state group by function
