package schema_test

import (
	"strconv"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A month of a centre: threads of some twelve events, a tenth of them with an agent and a queue, in working hours of all channels.
const million = `INSERT INTO events (tenant, event_id, type, occurred_at, received_at, channel, direction, origin, provider, inbox, thread, endpoint, endpoints, actor_kind, actor,
	queue, assignment, reason, text_length, schema_version, topic, partition, offset)
SELECT ['acme', 'globex', 'initech'][1 + cityHash64(n) % 3], generateUUIDv4(n),
	['message.received', 'message.sent', 'message.delivered', 'message.read', 'interaction.started', 'interaction.ended', 'queue.entered', 'queue.left',
		'assignment.offered', 'assignment.connected', 'assignment.ended', 'wrapup.ended'][1 + number % 12],
	toDateTime64('2026-03-01 08:00:00', 6) + toIntervalSecond(intDiv(n, 3) * 31) + toIntervalMicrosecond(number % 12 * 7000000 + rand(number) % 1000000) AS occurred_at,
	occurred_at + toIntervalMicrosecond(100000 + rand(number + 1) % 300000),
	['voice', 'web_chat', 'email', 'social_message'][1 + cityHash64(n, 1) % 4], if(number % 3 = 0, 'inbound', 'outbound'), '',
	['twilio', 'web', 'imap', 'wechat'][1 + cityHash64(n, 1) % 4], concat('inbox-', toString(cityHash64(n, 2) % 20)),
	reinterpretAsUUID(unhex(hex(sipHash128(n)))), reinterpretAsUUID(unhex(hex(sipHash128(n % 50000, 1)))) AS endpoint, [endpoint],
	if(number % 3 = 0, 'customer', 'agent'), if(number % 3 = 0, toString(endpoint), concat('agent-', toString(cityHash64(n, 3) % 300))),
	if(number % 12 >= 6, concat('queue-', toString(cityHash64(n, 4) % 15)), ''), if(number % 12 >= 8, reinterpretAsUUID(unhex(hex(sipHash128(n, 2)))), toUUID('00000000-0000-0000-0000-000000000000')),
	if(number % 12 = 7, 'answered', ''), if(number % 12 < 2, 20 + rand(number + 2) % 300, 0), 1, 'skein.interactions.v1', n % 12, number
FROM (SELECT number, intDiv(number, 12) AS n FROM numbers({from:UInt64}, 250000))`

// BenchmarkAMillionEvents tells how many bytes an event takes, and which columns take the most.
func BenchmarkAMillionEvents(b *testing.B) {
	h := newWorld(b).migrated("million")
	for b.Loop() {
		h.exec("TRUNCATE TABLE events")
		for i := range 4 {
			h.exec(million, clickhouse.Named("from", strconv.Itoa(i*250_000)))
		}
	}
	h.exec("OPTIMIZE TABLE events FINAL")
	var bytes float64
	if err := h.QueryRow(b.Context(), `SELECT sum(data_compressed_bytes) / sum(rows) FROM system.parts
		WHERE active AND database = currentDatabase() AND table = 'events'`).Scan(&bytes); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(bytes, "bytes/event")
	for _, line := range h.lines(`SELECT name, round(data_compressed_bytes / 1e6, 2) FROM system.columns WHERE database = currentDatabase() AND table = 'events'
		ORDER BY data_compressed_bytes DESC LIMIT 12`) {
		b.Log(line, "bytes")
	}
}
