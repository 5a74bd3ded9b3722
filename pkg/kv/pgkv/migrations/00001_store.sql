-- +goose Up

-- A namespace's keys stand in the table keys_<id>, which is made with its row. An id is never used again.
CREATE TABLE namespaces (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slice text NOT NULL,
    generation bigint NOT NULL,
    UNIQUE (slice, generation)
);

-- Tables of namespaces that were dropped, until nobody reads them any more.
CREATE TABLE garbage (
    id bigint PRIMARY KEY
);

-- Begins a batch: nobody drops the namespace until it is written, and of those who require the same key one comes after
-- the other. Each statement of a function sees what was committed before the statement began, so what is read after a
-- lock was taken is what its last holder left.
-- +goose StatementBegin
CREATE FUNCTION begin_batch(namespace bigint, namespace_lock bigint, alone boolean, key_locks bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF alone THEN
        PERFORM pg_advisory_xact_lock(namespace_lock);
    ELSE
        PERFORM pg_advisory_xact_lock_shared(namespace_lock);
    END IF;
    PERFORM pg_advisory_xact_lock(l) FROM unnest(key_locks) AS l; -- in the order of the array
    IF NOT EXISTS (SELECT FROM namespaces WHERE id = namespace) THEN
        RAISE EXCEPTION 'the namespace was dropped' USING ERRCODE = 'SK001';
    END IF;
END
$$;
-- +goose StatementEnd

-- Ends a batch one of whose required keys holds something else.
-- +goose StatementBegin
CREATE FUNCTION refuse_batch() RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a required key holds another value' USING ERRCODE = 'SK002';
END
$$;
-- +goose StatementEnd
