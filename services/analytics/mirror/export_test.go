package mirror

// Decoded decodes and encodes what is stored, each as a parser of it does; it tells whether what can be read is written alike.
func Decoded(b []byte) (state, entity, parcel, values []byte) {
	if s, err := decodeState(b); err == nil {
		state = s.encode()
	}
	if e, err := decodeEntity(b); err == nil {
		entity = e.encode()
	}
	if p, err := decodeParcel("facts", b); err == nil {
		parcel = p.encode()
	}
	if v, err := decodeValues(b, 2); err == nil {
		values = b[:len(v):len(v)]
	}
	return state, entity, parcel, values
}

// Encoded are examples of what is stored.
func Encoded() [][]byte {
	s := state{life: "life", role: serves, held: 9, pending: true, batch: 300, scan: 2, phase: phaseSweep, swept: "a/b", cursor: []byte{1, 2}}
	e := entity{scan: 3, rows: []kept{{"facts", "k", []byte("data")}, {"facts", "l", nil}, {"others", "", []byte("x")}}}
	p := parcel{table: "facts", version: 9, groups: []group{
		{"a", []change{{back, "k", []byte("old")}, {holds, "k", []byte("new")}}}, {"b", []change{{former, "m", nil}}},
	}}
	var v Values
	v.Null()
	v.Text("text")
	v.ID([16]byte{1})
	v.Millis(-5)
	v.Micros(7)
	v.Int64(-1)
	v.Int32(-2)
	v.Uint16(70_000)
	v.Uint32(-1)
	v.Float64(0.5)
	v.Bool(true)
	v.Bool(false)
	v.Texts([]string{"a", ""})
	v.IDs([][16]byte{{2}})
	v.Spans([][2]int64{{1, 2}})
	v.TextMap(map[string]string{"b": "2", "a": "1"})
	v.IntMap(map[string]int32{"x": -1})
	return [][]byte{s.encode(), e.encode(), p.encode(), v.Encoded()}
}
