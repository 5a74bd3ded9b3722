// Package chdb runs the real ClickHouse engine without a server: its shared library, loaded into a process of its own, behind ClickHouse's HTTP
// interface. clickhouse-go (Protocol: clickhouse.HTTP), clickhouse-connect and curl use it as they use a server, so that one code path serves both and
// only the address differs. It is for development, demonstration and small single-machine use; a real server is only another address.
//
// # The library
//
// It is the npm package @chdb/lib-linux-x64-gnu (and its sisters for ARM64 and macOS) of exactly one Version. Find looks for it in the user's
// cache, or takes the file that SKEIN_CLICKHOUSE_LIBRARY names. Fetch gets it through npm.
//
// # The processes
//
// A process can run one engine on one directory, once, and a crash of the engine is a crash of the process. So the engine is a child: a Process starts
// it, starts it again when it dies, and tells how it is. The child's command calls Child, which reads its Config, passwords included, from its standard
// input and ends when that ends, so that no child outlives its parent. Serve is what it does then, and what a command does that serves on its own.
// What was acknowledged outlives kill -9 of the child, each block of an INSERT whole or absent, and so do the tokens of deduplication; a
// loss of power may take the last blocks, as with a server, unless fsync_after_insert is set on the table. For that, Serve repairs at its start what the
// engine by itself would get wrong: killed at the wrong moment, it has noted a token whose block is not there, and would drop that block when it is sent
// again.
//
// # The interface
//
// It is that of a server: the query in the URL or the body, named parameters (param_x), settings, external tables in a form, default_format, database, compression of both
// directions (gzip, deflate, br, zstd, lz4 by header; ClickHouse's own blocks by compress=1 and decompress=1), wait_end_of_query, query_id,
// /ping, the X-ClickHouse headers, and errors with ClickHouse's codes and statuses. Rows of an INSERT stream into the engine without a bound on
// their size. Those of a SELECT or WITH stream out in formats that are rows, with or without a head; answers that are one document, such as
// JSON and Parquet, and those of other statements are held in memory. A query is killed when its client goes, when it takes longer than
// QueryTime or uses more than QueryMemory. No more than Queries run at once; the others wait, and get code 202 when that takes too long.
//
// It differs from a server in this:
//   - A request is a session of its own. A session_id is accepted and holds nothing; SET, USE and temporary tables under one are refused.
//   - Users are those of the Config. CREATE USER, roles and row policies do not work in the engine, nor do replicated tables, asynchronous
//     inserts (they are done at once), dictionaries that reload themselves, and the log tables of the system database.
//   - Native rows are those of protocol revision 0, which clickhouse-go learns from the query that it asks at first.
//   - INTO OUTFILE, FROM INFILE and several statements in one request are refused. The database "default" is an empty one in memory.
//   - GET requests cannot write, as on a server.
//
// # Read-only users
//
// A user with ReadOnly may SELECT, SHOW, DESCRIBE, EXISTS and EXPLAIN. Three guards stand one behind the other: the engine's parser must class
// the statement as one that only reads; neither its tree nor its text may call a function that reads files, servers or texts as queries, or set
// settings; and the connection is set readonly in the engine, which refuses writes and foreign sources by itself. Settings come as parameters, out of a
// list of harmless ones, and limits can only be tightened. It guards the data of this machine against people who
// are known; it is no tenancy: every read-only user sees every database.
package chdb
